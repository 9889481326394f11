"""Images in, classes out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from corun.errors import InvalidField
from corun.resource_pool.models import LabelScore, Model, ModelCatalog
from corun.resource_pool.models.image import encode_image
from corun.resource_pool.models.manifest import ImageInput
from tests.unit.resource_pool.model_folders import run_on_cpu

UNIT = ImageInput(size=(2, 4), fit="stretch", mean=(0, 0, 0), std=(1, 1, 1))


def picture(width: int, height: int, colour: tuple[int, int, int] = (255, 0, 0), *, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def classes(model: Model, *images: bytes) -> list[tuple[LabelScore, ...]]:
    inputs = model.encode(images)
    model.check_inputs(inputs)
    return [result.labels for result in model.decode(run_on_cpu(model.path, inputs), inputs)]


def test_photographs_are_seen_for_what_they_show(
    model_catalog: ModelCatalog, photo: bytes, coffee_photo: bytes
) -> None:
    cat, coffee = classes(model_catalog.resolve("efficientnet-lite0"), photo, coffee_photo)
    assert [label.index in range(281, 286) for label in cat[:3]] == [True] * 3  # ImageNet's five domestic cats
    assert "cat" in cat[0].name
    assert coffee[0].name == "espresso"
    assert coffee[0].score > 0.5


def test_classes_come_best_first_with_probabilities(model_catalog: ModelCatalog, photo: bytes) -> None:
    (labels,) = classes(model_catalog.resolve("efficientnet-lite0"), photo)
    scores = [label.score for label in labels]
    assert len(labels) == 5
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1


def test_a_line_of_text_upside_down_is_told_from_one_that_is_not(model_catalog: ModelCatalog) -> None:
    from PIL import ImageDraw, ImageFont

    line = Image.new("RGB", (192, 48), "white")
    ImageDraw.Draw(line).text((4, 6), "Stratagem 4712", fill="black", font=ImageFont.load_default(24))
    files = []
    for image in (line, line.rotate(180)):
        file = io.BytesIO()
        image.save(file, "PNG")
        files.append(file.getvalue())
    upright, rotated = classes(model_catalog.resolve("pp-ocr-cls"), *files)
    assert (upright[0].name, rotated[0].name) == ("upright", "upside down")


def test_a_cup_is_more_salient_than_the_table_around_it(model_catalog: ModelCatalog, coffee_photo: bytes) -> None:
    model = model_catalog.resolve("vit-s-focus")
    inputs = model.encode([coffee_photo])
    importance = run_on_cpu(model.path, inputs)["output_importance"][0, 0]
    assert importance.shape == (224, 224)
    cup, table = importance[60:140, 80:140], importance[60:140, :28]  # of the picture, 224 x 149 in the middle
    assert cup.mean() > 4 * table.mean()
    (result,) = model.decode({}, inputs)
    assert (result.embedding, result.labels, result.speech) == ((), (), ())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_pixels_come_as_red_green_blue_planes(kind: str) -> None:
    pixels = encode_image(picture(10, 10, kind=kind), UNIT, field="items[0].image")
    assert pixels.shape == (3, 2, 4)
    assert pixels.mean(axis=(1, 2)) == pytest.approx([1, 0, 0], abs=0.02)  # JPEG is not exact


def test_pixels_are_scaled_by_mean_and_deviation() -> None:
    settings = ImageInput(size=(2, 2), mean=(0.5, 0.5, 0.0), std=(0.5, 0.25, 1.0))
    pixels = encode_image(picture(4, 4), settings, field="f")
    assert pixels.mean(axis=(1, 2)) == pytest.approx([1, -2, 0])


def test_a_crop_keeps_the_middle_and_a_pad_keeps_everything() -> None:
    wide = Image.new("RGB", (40, 20), (0, 0, 0))
    wide.paste((255, 255, 255), (10, 0, 30, 20))
    file = io.BytesIO()
    wide.save(file, "PNG")
    plain = {"size": (10, 10), "mean": (0, 0, 0), "std": (1, 1, 1), "interpolation": "area"}
    cropped = encode_image(file.getvalue(), ImageInput(fit="crop", **plain), field="f")  # type: ignore[arg-type]
    padded = encode_image(file.getvalue(), ImageInput(fit="pad", **plain), field="f")  # type: ignore[arg-type]
    assert (cropped == 1).all()
    assert padded.sum() == pytest.approx(3 * 5 * 5, rel=0.01)  # a quarter of the size, 5 x 5 of it white
    assert (padded[:, :2] == 0).all()
    assert (padded[:, 8:] == 0).all()


def test_a_photograph_that_says_which_way_is_up_is_turned() -> None:
    image = Image.new("RGB", (20, 10), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    pixels = encode_image(file.getvalue(), UNIT, field="f")
    assert pixels[:, :, 0].max() < 0.5 < pixels[:, :, 3].min()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        picture(50, 50)[:60],
        picture(400, 400, kind="JPEG")[:300],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_not_a_whole_image_is_named(model_catalog: ModelCatalog, content: bytes, photo: bytes) -> None:
    with pytest.raises(InvalidField) as raised:
        model_catalog.resolve("efficientnet-lite0").encode([photo, content])
    assert raised.value.field == "items[1].image"


def test_an_image_that_unfolds_to_too_many_pixels_is_refused_unread() -> None:
    # Headers of 20,000 x 20,000 and of 9,000 x 9,000 pixels in a few hundred bytes.
    for side in (20_000, 9_000):
        small = bytearray(picture(1, 1, kind="BMP"))
        small[18:26] = side.to_bytes(4, "little") * 2
        with pytest.raises(InvalidField, match="pixels"):
            encode_image(bytes(small), UNIT, field="items[0].image")


def test_text_is_not_an_image(model_catalog: ModelCatalog) -> None:
    with pytest.raises(InvalidField, match="takes image"):
        model_catalog.resolve("efficientnet-lite0").encode(["a cat"])


def test_batches_of_pictures_come_out_in_order(model_catalog: ModelCatalog, photo: bytes, coffee_photo: bytes) -> None:
    model = model_catalog.resolve("efficientnet-lite0")
    one, two = classes(model, photo, coffee_photo), classes(model, coffee_photo, photo)
    assert [labels[0].name for labels in one] == [labels[0].name for labels in reversed(two)]
    assert np.isclose(one[0][0].score, two[1][0].score, atol=1e-4)
