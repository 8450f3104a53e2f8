"""nbval compares the text of a tagged output. Its HTML says the same with ids and colours, and may change."""


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html", "text/markdown")
