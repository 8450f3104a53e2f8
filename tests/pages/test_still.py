"""The image of a figure: where it is seen, on what ground, and that all lies where it lies in the drawing."""

import base64
import io
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from bbatch.pages import picture, still, style


def square(label: str):
    """A figure with a red square at its only point, beside a label that takes room."""
    with mpl.rc_context(style.STYLE):
        figure, axis = plt.subplots(figsize=(4, 3))
    plt.close(figure)
    axis.plot([1], [2], "s", color="#ff0000")
    axis.set_ylabel(label)
    picture.tip(axis, [1], [2], ["here"])
    return figure


def image_of(html: str) -> np.ndarray:
    """The pixels of the image in the HTML of a figure: [height, width, 3]."""
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html)[1]
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def centre(html: str) -> np.ndarray:
    """Where the red square lies in the image, in points from its upper left corner; a pixel is 1/90 inch."""
    red = (image_of(html) == [255, 0, 0]).all(axis=2)
    return np.argwhere(red).mean(axis=0)[::-1] * 72 / 90


def told(html: str) -> list[float]:
    """Where it lies in the drawing."""
    [found] = re.findall(r'\[([\d.]+),([\d.]+),"here"', html)
    return list(map(float, found))


HIGH = "one\nof\nfive\nlines\nhigh"


@pytest.mark.parametrize("label", ["short", HIGH])
def test_all_lies_where_it_lies_in_the_drawing(label):
    html = picture.html(square(label))
    assert centre(html) == pytest.approx(told(html), abs=0.8)


def test_a_figure_that_changed_is_laid_out_anew():
    figure = square("short")
    before = centre(picture.html(figure))
    figure.axes[0].set_ylabel(HIGH)
    html = picture.html(figure)
    assert centre(html) == pytest.approx(told(html), abs=0.8)
    assert centre(html)[0] > before[0] + 10


def test_a_notebook_that_is_not_trusted_shows_an_image():
    """What JupyterLab's sanitizer leaves: no drawing, script or style sheet, but images and words."""
    html = picture.html(picture.describe(square("y"), "What is drawn."))
    soup = BeautifulSoup(html, "html.parser")
    for taken in soup(["svg", "script", "style"]):
        taken.decompose()
    [image] = soup("img")
    assert image["alt"] and image["src"].startswith("data:image/png;base64,iVBOR")
    assert soup.figcaption.text == "What is drawn."
    assert html.index(still.HIDDEN) < html.index("<img") and still.HIDDEN.count("display: none") == 1
    page = still.without_still(html)
    assert "<img" not in page and still.HIDDEN not in page and page.endswith("</script></figure>")


def test_an_image_is_a_png_on_white():
    figure = mpl.figure.Figure(figsize=(3, 2), facecolor="black")
    figure.subplots()
    image = Image.open(io.BytesIO(base64.b64decode(still.png(figure))))
    assert (image.format, image.size, image.convert("RGB").getpixel((0, 0))) == (
        "PNG",
        (270, 180),
        (255,) * 3,
    )
    assert "Software" not in image.info
