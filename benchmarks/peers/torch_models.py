"""The workloads in PyTorch: eager, images channels-last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.architectures import inception_v3, xception
from benchmarks.workloads import Arrays, Subject, Workload


class Recurrent(nn.Module):
    """Two sequences read by LSTMs, of one's own or shared, and a dense layer."""

    def __init__(self, vocabulary: int | None, features: int, outputs: int) -> None:
        super().__init__()
        count = 1 if vocabulary is None else 2
        self.tables = nn.ModuleList(nn.Embedding(vocabulary, features) for _ in range(2) if vocabulary)
        self.lstms = nn.ModuleList(nn.LSTM(features, 32, batch_first=True) for _ in range(count))
        self.dense = nn.Linear(64, outputs)

    def forward(self, inputs: Any) -> Any:
        rows = [table(ids) for table, ids in zip(self.tables, inputs, strict=True)] if self.tables else inputs
        read = [self.lstms[index % len(self.lstms)](row)[0][:, -1] for index, row in enumerate(rows)]
        return [self.dense(torch.cat(read, -1))]


class SocialPosts(nn.Module):
    """One text, three predictions."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50_000, 256)
        widths = ((256, 128), (128, 256), (256, 256), (256, 256), (256, 256))
        self.convs = nn.ModuleList(nn.Conv1d(before, after, 5) for before, after in widths)
        self.dense = nn.Linear(256, 128)
        self.ends = nn.ModuleList(nn.Linear(128, width) for width in (1, 10, 1))

    def forward(self, inputs: Any) -> Any:
        x = self.table(inputs[0]).transpose(1, 2)
        for number, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            x = F.max_pool1d(x, 5) if number in (0, 2) else x
        x = F.relu(self.dense(x.amax(-1)))
        return [end(x) for end in self.ends]


class InceptionModule(nn.Module):
    """Four branches over one feature map."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((256, 1, 2), (256, 1, 1), (128, 3, 2), (256, 3, 1), (256, 1, 1), (128, 3, 1), (128, 3, 2))
        self.convs = nn.ModuleList(nn.Conv2d(before, 128, size, strides) for before, size, strides in sizes)
        self.dense = nn.Linear(512, 10)

    def forward(self, inputs: Any) -> Any:
        x = inputs[0]
        a, b1, b2, c, d1, d2, d3 = (lambda x, conv=conv: F.relu(conv(same(x, conv))) for conv in self.convs)
        pooled = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)
        y = torch.cat([a(x), b2(b1(x)), c(pooled), d3(d2(d1(x)))], 1)
        return [self.dense(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)]


class ResidualBlock(nn.Module):
    """Three convolutions, added to what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(128, 128, 3, padding=1) for _ in range(3))

    def forward(self, inputs: Any) -> Any:
        y = inputs[0]
        for conv in self.convs:
            y = F.relu(conv(y))
        return [y + inputs[0]]


def same(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """x padded for ceil(size / stride) outputs, the odd zero at the end."""
    pads: list[int] = []
    for size, window, stride in zip(x.shape[2:], conv.kernel_size, conv.stride, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads) if any(pads) else x


class Large(nn.Module):
    """One of the large architectures; its layers are made when it is first called, in the order of use."""

    def __init__(self, architecture: Any) -> None:
        super().__init__()
        self.architecture, self.made = architecture, nn.ModuleList()
        self.used: Iterator[nn.Module] | None = None
        with torch.no_grad():
            self([torch.zeros(1, 3, 299, 299)])

    def forward(self, inputs: Any) -> Any:
        self.used = iter(list(self.made)) if len(self.made) else None
        return [self.architecture(self, inputs[0])]

    def layer(self, make: Any) -> Any:
        if self.used is not None:
            return next(self.used)
        self.made.append(make())
        return self.made[-1]

    def conv(self, x: Any, filters: int, window: tuple[int, int], strides: int, is_same: bool) -> Any:
        conv = self.layer(lambda: nn.Conv2d(x.shape[1], filters, window, strides, bias=False))
        return conv(same(x, conv) if is_same else x)

    def separable(self, x: Any, filters: int) -> Any:
        channels = x.shape[1]
        deep = self.layer(lambda: nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False))
        return self.layer(lambda: nn.Conv2d(channels, filters, 1, bias=False))(deep(x))

    def norm(self, x: Any, scale: bool = True) -> Any:
        # PyTorch has a scale always, or neither scale nor bias.
        return self.layer(lambda: nn.BatchNorm2d(x.shape[1], 1e-3, 0.01))(x)

    def relu(self, x: Any) -> Any:
        return F.relu(x)

    def max_pool(self, x: Any, is_same: bool) -> Any:
        return F.max_pool2d(x, 3, 2, padding=1 if is_same else 0)

    def average_pool(self, x: Any) -> Any:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def concat(self, parts: Any) -> Any:
        return torch.cat(parts, 1)

    def head(self, x: Any, classes: int) -> Any:
        return self.layer(lambda: nn.Linear(x.shape[1], classes))(x.mean((2, 3)))


MODELS: dict[str, Any] = {
    "question_answering": lambda: Recurrent(10_000, 64, 500),
    "siamese_lstm": lambda: Recurrent(None, 128, 1),
    "social_posts": SocialPosts,
    "inception_module": InceptionModule,
    "residual_block": ResidualBlock,
    "inception_v3": lambda: Large(inception_v3),
    "xception": lambda: Large(xception),
}
_LOSSES: dict[str, Any] = {
    "mse": F.mse_loss,
    "sparse_categorical_crossentropy": lambda outputs, targets: F.cross_entropy(outputs, targets.long()),
    "binary_crossentropy": F.binary_cross_entropy_with_logits,
}


def build(workload: Workload) -> Subject:
    """The model with its step."""
    torch.manual_seed(0)
    model = MODELS[workload.name]().to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3, alpha=0.9, eps=1e-7)

    def train(x: list[Any], y: list[Any]) -> Any:
        model.train()
        optimizer.zero_grad()
        terms = zip(workload.losses, model(x), y, strict=True)
        loss = sum(_LOSSES[name](output, target) for name, output, target in terms)
        loss.backward()
        optimizer.step()
        return loss.detach()

    x, y = (_tensors(arrays) for arrays in workload.data())

    def fit(inputs: Arrays, targets: Arrays) -> None:
        order = np.random.default_rng(0).permutation(len(inputs[0]))
        for rows in np.split(order, len(order) // workload.batch):
            train(_tensors([a[rows] for a in inputs]), _tensors([a[rows] for a in targets]))

    def predict(inputs: Arrays) -> Any:
        model.eval()
        with torch.inference_mode():
            return [output.numpy() for output in model(_tensors(inputs))]

    return Subject(lambda: float(train(x, y)), fit, predict)


def _tensors(arrays: Arrays) -> list[Any]:
    """Images with their channels as the second axis, still last in memory."""
    return [torch.from_numpy(a).permute(0, 3, 1, 2) if a.ndim == 4 else torch.from_numpy(a) for a in arrays]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"torch": torch.__version__}
