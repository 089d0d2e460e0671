"""The command line: train, predict, summary, plot, convert. JAX is imported by the commands that compute."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from jaxgraphs.errors import GraphError
from jaxgraphs.version import __version__

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
MAIN_JOB = "question_answering"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after ``jaxgraphs``; the process' own where left out.
    Returns: the exit code: 0 done, 1 an error that is explained, 2 wrong usage, 130 interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        return options.command(options)
    except (GraphError, FileNotFoundError) as error:
        if options.debug:
            raise
        is_ours = isinstance(error, GraphError)
        return _explain(str(error) if is_ours else f"There is no such file: {error.filename}", options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _explain(text: str, options: argparse.Namespace) -> int:
    """One readable block."""
    if options.json:
        print(json.dumps({"error": text}))
    else:
        print(f"error: {text}", file=sys.stderr)
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxgraphs",
        description="Describe and train graph-shaped neural networks in JAX.",
        epilog="exit codes: 0 done, 1 an error that is explained, 2 wrong usage, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"jaxgraphs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print results as JSON, for machines")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _add_train(commands, common)
    _add_predict(commands, common)
    _add_summary(commands, common)
    _add_plot(commands, common)
    _add_convert(commands, common)
    return parser


def _add_train(commands: Any, common: argparse.ArgumentParser) -> None:
    train = commands.add_parser("train", parents=[common], help="train a model and report it beside its baseline")
    train.add_argument(
        "job", nargs="?", default=MAIN_JOB, metavar="MODEL", help=f"which model; {MAIN_JOB} where left out"
    )
    train.add_argument(
        "--data", metavar="DIR", help="real data, such as a bAbI directory; embedded data where left out"
    )
    train.add_argument(
        "--task", type=int, metavar="N", help="which task of the data (bAbI: 1-20; embedded: 1, 2, 3, 6)"
    )
    train.add_argument("--size", type=_positive, metavar="N", help="how many training examples")
    train.add_argument("--model", metavar="FORM", help="which form of the graph, such as chapter or conditioned")
    train.add_argument("--epochs", type=_positive, metavar="N", help="how many epochs")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="of data, parameters and order (0)")
    train.add_argument("--save", metavar="FILE", help="write the trained model, as .safetensors")
    train.set_defaults(command=_train)


def _add_predict(commands: Any, common: argparse.ArgumentParser) -> None:
    predict = commands.add_parser("predict", parents=[common], help="ask a saved model")
    predict.add_argument("file", metavar="SAVED", help="what train --save wrote")
    predict.add_argument("--story", help="sentences; asked for where left out")
    predict.add_argument("--question", help="a question; asked for where left out")
    predict.set_defaults(command=_predict)


def _add_summary(commands: Any, common: argparse.ArgumentParser) -> None:
    summary = commands.add_parser("summary", parents=[common], help="the table of a model's layers")
    summary.add_argument("model", metavar="MODEL|FILE", help="a model's name, or a saved file")
    summary.add_argument("--cost", action="store_true", help="add FLOPs and bytes")
    summary.set_defaults(command=_summary)


def _add_plot(commands: Any, common: argparse.ArgumentParser) -> None:
    plot = commands.add_parser("plot", parents=[common], help="draw a model")
    plot.add_argument("model", metavar="MODEL|FILE", help="a model's name, or a saved file")
    plot.add_argument("out", metavar="OUT", help="a .svg, .png, .dot or .mmd file")
    plot.set_defaults(command=_plot)


def _add_convert(commands: Any, common: argparse.ArgumentParser) -> None:
    convert = commands.add_parser("convert", parents=[common], help="bring a Keras model over")
    convert.add_argument("source", metavar="IN", help="a .keras, .h5, .hdf5 or .json file of Keras'")
    convert.add_argument("out", metavar="OUT", help="a .safetensors file, or a .weights.h5 for Keras")
    convert.add_argument("--layers", action="store_true", help="list the layers")
    convert.add_argument("--verify", action="store_true", help="compare the outputs with those of Keras")
    convert.set_defaults(command=_convert)


def _train(options: argparse.Namespace) -> int:
    from jaxgraphs.errors import GraphKeyError, did_you_mean
    from jaxgraphs.jobs import JOBS, Options

    if options.job not in JOBS:
        raise GraphKeyError(
            f"There is nothing to train called {options.job!r}.", expected=did_you_mean(options.job, list(JOBS))
        )
    chosen = {name: getattr(options, name) for name in ("data", "task", "size", "model", "epochs", "seed")}
    outcome = JOBS[options.job].run(Options(**chosen, verbose=0 if options.json else 1))
    report, results = dict(outcome.report), dict(outcome.results)
    if options.save:
        from jaxgraphs.io.archive import save

        save(options.save, outcome.graph, outcome.variables, extra={"job": options.job, **outcome.extra})
        report["saved"], results["saved"] = options.save, options.save
    if options.json:
        print(json.dumps(results))
    else:
        _print_report(report)
    return OK


def _print_report(report: dict[str, str]) -> None:
    width = max(map(len, report))
    print()
    for label, text in report.items():
        print(f"{label.ljust(width)}  {text}")


def _predict(options: argparse.Namespace) -> int:
    from jaxgraphs.jobs.answering import answer, load_answerer

    answerer = load_answerer(options.file)
    story = options.story or _ask("story: ")
    question = options.question or _ask("question: ")
    began = time.monotonic()
    answers = answer(answerer, story, question)
    if options.json:
        print(
            json.dumps(
                {
                    "answers": [{"answer": word, "probability": p} for word, p in answers],
                    "seconds": time.monotonic() - began,
                }
            )
        )
    else:
        for word, probability in answers:
            print(f"{probability:.3f}  {word}")
    return OK


def _ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError as error:
        raise GraphError(
            f"No {prompt.rstrip(': ')} was given.", fix="--story 'Mary is in the hall.' --question 'Where is Mary?'"
        ) from error


def _summary(options: argparse.Namespace) -> int:
    summary = _graph_of(options.model).summary(cost=options.cost)
    if options.json:
        import dataclasses

        print(json.dumps([dataclasses.asdict(row) for row in summary.rows], default=str))
    else:
        print(summary)
    return OK


def _plot(options: argparse.Namespace) -> int:
    _graph_of(options.model).plot(options.out)
    print(json.dumps({"written": options.out}) if options.json else f"wrote {options.out}")
    return OK


def _convert(options: argparse.Namespace) -> int:
    from jaxgraphs.io.archive import save
    from jaxgraphs.io.keras.read import from_keras
    from jaxgraphs.io.keras.verify import listing, outputs_apart
    from jaxgraphs.io.keras.write import to_keras_weights

    graph, variables = from_keras(options.source)
    report: dict[str, Any] = {"source": options.source, "layers": len(graph.layers), "params": graph.count_params()}
    if options.verify:
        report["error"] = outputs_apart(options.source, graph, variables)
    if options.out.endswith(".weights.h5"):
        to_keras_weights(graph, variables, options.out)
    else:
        save(options.out, graph, variables)
    report["saved"] = options.out
    if options.layers:
        report["each"] = listing(graph)
    print(json.dumps(report) if options.json else _converted(report))
    return OK


def _converted(report: dict[str, Any]) -> str:
    """What was done, in lines."""
    lines = [f"{row['name']:<40} {row['kind']:<24} {row['arrays']}" for row in report.get("each", ())]
    lines.append(f"{report['source']}: {report['layers']} layers, {report['params']:,} parameters")
    if "error" in report:
        lines.append(f"outputs agree with Keras' to {report['error']:.1e}, relative to the largest")
    return "\n".join([*lines, f"saved {report['saved']}"])


def _graph_of(name: str) -> Any:
    """The graph of a file, or the one that a model's name makes with its usual arguments."""
    from jaxgraphs import models
    from jaxgraphs.errors import GraphKeyError, did_you_mean

    if name.endswith((".safetensors", ".json")):
        from jaxgraphs.io.archive import load

        return load(name)[0]
    if name not in models.__all__:
        raise GraphKeyError(
            f"There is no model called {name!r}.",
            expected=did_you_mean(name, models.__all__),
            fix="or give a .safetensors file",
        )
    return getattr(models, name)()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
