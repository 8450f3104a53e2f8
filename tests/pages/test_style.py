"""The style of figures: colours on dark pages, panels side by side, axes and keys."""

from colorsys import hls_to_rgb, rgb_to_hls

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

import artists
from bbatch.pages import style


def test_contrast_is_that_of_wcag():
    """Of pure colours by hand: (1 + 0.05) / (their weight + 0.05); of a near black by the straight part."""
    on_white = {"#000000": 21, "#ff0000": 1.05 / 0.2626, "#00ff00": 1.05 / 0.7652, "#0000ff": 1.05 / 0.1222}
    on_white |= {"#0a0a0a": 1.05 / (10 / 255 / 12.92 + 0.05), "#767676": 4.54}  # the last grey that AA allows
    on_white |= {"#101010": 1.05 / (((16 / 255 + 0.055) / 1.055) ** 2.4 + 0.05)}  # where the curve begins
    for colour, ratio in on_white.items():
        assert style.contrast(colour, "#ffffff") == pytest.approx(ratio, abs=0.005)
        assert style.contrast("#ffffff", colour) == style.contrast(colour, "#ffffff")


def test_greys_turn_over_in_the_dark_and_colours_are_lightened_no_further_than_needed():
    # 0.12 + 0.78 (1 - lightness), at least 0.2; a grey's channels differ by less than 3 %.
    assert [style.dark(c) for c in ("#000000", "#333333", "#fafafa")] == ["#e6e6e6", "#bebebe", "#333333"]
    assert style.is_grey("#808780") and not style.is_grey("#808880")
    assert style.dark("#ffff00") == "#ffff00" and style.dark("#ffffff") == style.GROUND
    for colour in ("#800000", "#000080", "#7b1fa2"):
        hue, light, strength = rgb_to_hls(*to_rgb(colour))
        steps = [to_hex(hls_to_rgb(hue, light + k / 100, strength)) for k in range(50)]
        seen = next(twin for twin in steps if style.contrast(twin) >= 3)
        assert style.dark(colour) == seen != colour


def test_a_drawing_has_the_style_and_pyplot_forgets_it():
    @style.drawing
    def draw(k, *, more):
        """What it draws."""
        figure, _ = plt.subplots()
        figure.told = k, more, mpl.rcParams["axes.titleweight"]
        return figure

    before, figure = mpl.rcParams["axes.titleweight"], draw(1, more=2)
    assert figure.told == (1, 2, "bold") and mpl.rcParams["axes.titleweight"] == before != "bold"
    assert not plt.fignum_exists(figure.number) and draw.__doc__ == "What it draws."


@pytest.mark.parametrize("n, panels, width", [(0, 1, 5), (1, 1, 5), (3, 3, 12)])
def test_panels_stand_side_by_side(n, panels, width):
    figure, axes = style.panels_of(n, width=4, height=3, least=5)
    plt.close(figure)
    assert len(axes) == len(figure.axes) == panels and tuple(figure.get_size_inches()) == (width, 3)
    assert len({axis.get_position().y0 for axis in axes}) == 1


def test_shades_go_from_the_dark_end_to_the_last():
    ends = mpl.colormaps["viridis"]([0.0, 0.44, 0.88])
    assert np.array_equal(style.shades(3), ends) and np.array_equal(style.shades(2, last=0.44), ends[:2])
    assert style.shades(0).shape == (0, 4)


def test_axes_have_the_numbers_that_a_reader_looks_for():
    axis = Figure().subplots()
    axis.set(yscale="log", ylim=(0.9, 24))
    style.log_numbers(axis.yaxis)
    shown = {at: text for at, text in artists.ticks(axis, "y").items() if 0.9 <= at <= 24}
    assert shown == {1: "1", 2: "2", 5: "5", 10: "10", 20: "20"} and not len(axis.yaxis.get_minorticklocs())
    style.batch_size_axis(axis, [1, 8, 512])
    assert artists.ticks(axis) == {1: "1", 8: "8", 512: "512"} and axis.xaxis.get_transform().base == 2
    assert "log scale" in axis.get_xlabel()


def test_a_key_stands_where_there_is_something_to_name():
    axis = Figure().subplots()
    axis.plot([1, 2])
    style.legend(axis)
    assert axis.get_legend() is None
    axis.plot([2, 3], label="named")
    style.legend(axis)
    assert artists.key(axis) == ["named"]
