"""What can be typed: the commands with their options, and the page that shows all of them."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from jaxgraphs.errors import GraphKeyError, did_you_mean
from jaxgraphs.version import __version__
from jaxgraphs.writing import check_place

MAIN_JOB = "question_answering"
JOBS = (MAIN_JOB, "social_posts", "inception", "residual", "siamese", "separable", "table")
PAGE = """\
usage: jaxgraphs COMMAND ... [--json] [--debug] [--help]

Describe and train graph-shaped neural networks in JAX.
  train [MODEL]            train a model; report it beside its baseline
    --data PATH --task N --size N --model FORM    real data; the graph's form
    --target COLUMN --input COLUMN                of your own table; repeatable
    --epochs N --seed N --resume DIR --save FILE  survive a kill; keep the model
    --allocator --host-devices N --cache DIR      faster steps and starts
    --distributed, or --coordinator HOST:PORT --processes N --process N
  predict SAVED            ask a saved model
    --story TEXT --question TEXT, or --data FILE [--out FILE]
  summary MODEL|FILE       the table of the layers; --cost adds FLOPs and bytes
  plot MODEL|FILE OUT      draw it: .svg, .png, .dot or .mmd
  convert IN OUT           Keras' to .safetensors, or on; --layers, --verify
  datasets                 the data the jobs read, and where it comes from
  completion bash|zsh      completion for the shell

to train: question_answering (the default), social_posts, inception, residual,
          siamese, separable, table (a CSV, JSON-lines or Parquet file of yours)
each command explains itself: jaxgraphs train --help
exit codes: 0 done, 1 an explained error, 2 wrong usage, 130 interrupted,
            75 stopped by SIGTERM or a lost process: start again to go on
"""


class _Page(argparse.ArgumentParser):
    """A parser whose help is the page."""

    def format_help(self) -> str:
        return PAGE


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; its options carry the function to run as `command`."""
    top = _Page(prog="jaxgraphs")
    top.add_argument("--version", action="version", version=f"jaxgraphs {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print results as JSON, for machines")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for add in (_train, _predict, _summary, _plot, _convert, _datasets, _completion):
        add(commands, common)
    return top


def _command(
    commands: Any, common: argparse.ArgumentParser, name: str, does: str, check: Any = None
) -> argparse.ArgumentParser:
    """A parser for one command, which lives in the module of its name; `check` comes before that is imported."""
    made = commands.add_parser(name, parents=[common], help=does, description=f"{does[0].upper()}{does[1:]}.")

    def run(options: argparse.Namespace) -> None:
        if check is not None:
            check(options)
        importlib.import_module(f"jaxgraphs.cli.{name}").run(options)

    made.set_defaults(command=run)
    return made


def _train(commands: Any, common: argparse.ArgumentParser) -> None:
    train = _command(commands, common, "train", "train a model and report it beside its baseline", _check_train)
    job = train.add_argument("job", nargs="?", default=MAIN_JOB, metavar="MODEL", help=f"{', '.join(JOBS)}")
    job.words = JOBS  # pyright: ignore[reportAttributeAccessIssue]
    _path(train, "--data", metavar="PATH", help="real data, such as a bAbI directory; embedded data where left out")
    train.add_argument(
        "--task", type=int, metavar="N", help="which task of the data (bAbI: 1-20; embedded: 1, 2, 3, 6)"
    )
    train.add_argument("--target", action="append", metavar="COLUMN", help="of a table: what to predict; repeatable")
    train.add_argument(
        "--input", action="append", metavar="COLUMN", help="of a table: what to read; repeatable, all else if left out"
    )
    train.add_argument("--size", type=_positive, metavar="N", help="how many training examples")
    train.add_argument("--model", metavar="FORM", help="which form of the graph, such as chapter or conditioned")
    train.add_argument("--epochs", type=_positive, metavar="N", help="how many epochs")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="of data, parameters and order (0)")
    _path(train, "--resume", metavar="DIR", help="keep the run here; start it, or go on where it was interrupted")
    _path(train, "--save", metavar="FILE", help="write the trained model, as .safetensors")
    train.add_argument("--allocator", action="store_true", help="keep freed memory for the next step: faster on a CPU")
    train.add_argument(
        "--host-devices", type=_positive, metavar="N", help="devices made of the CPU; 2 for recurrent branches"
    )
    _path(train, "--cache", metavar="DIR", help="keep compiled programs here for the next start")
    train.add_argument(
        "--distributed", action="store_true", help="as one of several processes, found by itself under SLURM or MPI"
    )
    train.add_argument("--coordinator", metavar="HOST:PORT", help="of process 0, where all processes can reach it")
    train.add_argument("--processes", type=_positive, metavar="N", help="how many processes there are")
    train.add_argument("--process", type=int, metavar="N", help="which of them this is, from 0")


def _check_train(options: argparse.Namespace) -> None:
    """Raises GraphError where training would be in vain: an unknown job, no place for the model. JAX comes later."""
    if options.job not in JOBS:
        raise GraphKeyError(
            f"There is nothing to train called {options.job!r}.", expected=did_you_mean(options.job, JOBS)
        )
    if options.save:
        check_place(options.save)


def _predict(commands: Any, common: argparse.ArgumentParser) -> None:
    predict = _command(commands, common, "predict", "ask a saved model")
    _path(predict, "file", metavar="SAVED", help="what train --save wrote")
    predict.add_argument("--story", metavar="TEXT", help="sentences; asked for where left out")
    predict.add_argument("--question", metavar="TEXT", help="a question; asked for where left out")
    _path(
        predict, "--data", metavar="FILE", help="rows as .csv, .jsonl or .parquet, or arrays by input as .npy or .npz"
    )
    _path(predict, "--out", metavar="FILE", help="write a .csv, or an .npz of the outputs; printed where left out")


def _summary(commands: Any, common: argparse.ArgumentParser) -> None:
    summary = _command(commands, common, "summary", "the table of a model's layers")
    _path(summary, "model", metavar="MODEL|FILE", help="a model's name, or a saved file")
    summary.add_argument("--cost", action="store_true", help="add FLOPs and bytes")


def _plot(commands: Any, common: argparse.ArgumentParser) -> None:
    plot = _command(commands, common, "plot", "draw a model")
    _path(plot, "model", metavar="MODEL|FILE", help="a model's name, or a saved file")
    _path(plot, "out", metavar="OUT", help="a .svg, .png, .dot or .mmd file")


def _convert(commands: Any, common: argparse.ArgumentParser) -> None:
    convert = _command(commands, common, "convert", "bring a Keras model over, or take one of ours elsewhere")
    _path(convert, "source", metavar="IN", help="a .keras, .h5, .hdf5 or .json file of Keras', or a .safetensors")
    _path(convert, "out", metavar="OUT", help=".safetensors, .weights.h5 for Keras, .stablehlo or .onnx")
    convert.add_argument("--layers", action="store_true", help="list the layers")
    convert.add_argument("--verify", action="store_true", help="compare the outputs with those of Keras")


def _datasets(commands: Any, common: argparse.ArgumentParser) -> None:
    _command(commands, common, "datasets", "the data the jobs read, and where it comes from")


def _completion(commands: Any, common: argparse.ArgumentParser) -> None:
    completion = _command(commands, common, "completion", "print what completes words in a shell")
    completion.add_argument(
        "shell",
        choices=("bash", "zsh"),
        help='as in: eval "$(jaxgraphs completion zsh)", in the file that the shell reads at its start',
    )


def _path(into: argparse.ArgumentParser, *flags: str, **settings: Any) -> None:
    """An argument that is a path; a shell completes it to the files that are there."""
    into.add_argument(*flags, **settings).is_path = True  # pyright: ignore[reportAttributeAccessIssue]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number
