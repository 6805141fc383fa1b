"""The commands about measurements: validate, predict, fit-mine and calibrate."""

import json
import math
from pathlib import Path
from typing import Any

import click

from llmecon import inputs, paths
from llmecon.errors import InputError

# What is slow to import (JAX, what predicts) is imported by the command that needs it.

# Columns without which no row of a file can be used.
_SERVED = ("model", "xpu", "n_xpus", "precision", "prompt_tokens", "output_tokens")
_NEEDED = {
    "serving": (*_SERVED, "concurrency"),
    "offline": _SERVED,
    "training-runs": ("model", "xpu"),
    "training-steps": ("model", "xpu"),
    "losses": ("data", "parameters", "tokens"),
}
_KINDS = click.Choice(list(_NEEDED))

# What is known of a deployment beside what its file says: options by the column that they fill.
_NAMED: dict[str, tuple[Any, str]] = {
    "model": (str, "Model, an id of the catalogue."),
    "xpu": (str, "Accelerator, an id of the catalogue."),
    "n_xpus": (click.FloatRange(1), "Accelerators in all."),
    "precision": (str, "Of the weights: bf16, fp8, fp4 or int4."),
    "engine": (str, "Serving software, such as vllm."),
    "engine_version": (str, "Its version, such as 0.10.0."),
    "month": (str, "When it was measured, YYYY-MM, where there is no version."),
    "tensor_parallel": (click.FloatRange(1), "Devices that a layer is split over."),
    "data_parallel": (click.FloatRange(1), "Copies of the deployment."),
    "expert_parallel": (click.FloatRange(1), "Devices that experts are spread over."),
    "concurrency": (click.FloatRange(1), "Requests in flight."),
    "prompt_tokens": (click.FloatRange(1), "Mean length of prompts."),
    "output_tokens": (click.FloatRange(1), "Mean length of outputs."),
    "batching": (click.Choice(["static", "continuous"]), "How requests are batched."),
}
_DEPLOYMENTS = ("serving", "offline")
_PREDICTED, _NOT_PREDICTED = "predicted_", "not_predicted"


def _of_deployment(command: Any) -> Any:
    """The options that say which deployment a file is about."""
    for name, (kind, about) in reversed(_NAMED.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, type=kind, help=f"{about} Where FILE doesn't say it.")(
            command
        )
    return command


def _at_a_level(command: Any) -> Any:
    """The options that say how well a deployment is tuned."""
    command = click.option(
        "--my-server",
        "mine",
        type=click.Path(path_type=Path),
        help="What `llmecon fit-mine` wrote: predict for that deployment.",
    )(command)
    return click.option(
        "--tuning",
        type=click.Choice(["typical", "best"]),
        default="typical",
        show_default=True,
        help="Of serving: typical of what people publish, or as the best public benchmark.",
    )(command)


def _rows(kind: str, file: Path, named: dict[str, Any]) -> Any:
    """The rows of a measurement file, or of a load generator's result file."""
    told = {name: value for name, value in named.items() if value is not None}
    if kind not in _DEPLOYMENTS:
        if told:
            flag = f"--{next(iter(told)).replace('_', '-')}"
            raise InputError(f"{flag} is for {' and '.join(_DEPLOYMENTS)} alone, not for {kind}")
        inputs.require_table(file, _NEEDED[kind])
        from llmecon.evidence import predictions

        return predictions.read(file)
    if file.suffix.lower() not in (".json", ".jsonl"):  # a table
        inputs.require_table(file, [of for of in _NEEDED[kind] if of not in told])
        from llmecon.evidence import predictions

        return predictions.read(file).assign(**told)
    if kind != "serving":
        raise InputError(f"{file}: results of load generators are read as serving, not as {kind}")
    inputs.text(file, "a result file")
    from llmecon.evidence import benchmark_files

    return benchmark_files.named(benchmark_files.read(file), told, _NEEDED[kind])


def _own(kind: str, mine: Path | None) -> Any:
    """What own rows say of a deployment; None without them."""
    if mine is None:
        return None
    if kind not in _DEPLOYMENTS:
        raise InputError(f"--my-server is for {' and '.join(_DEPLOYMENTS)} alone, not for {kind}")
    said = click.get_current_context().get_parameter_source("tuning")
    if said is click.core.ParameterSource.COMMANDLINE:
        raise InputError("--my-server says how a deployment is tuned: leave --tuning out")
    from llmecon.evidence import own_rows

    return own_rows.load(mine)


@click.command("validate")
@click.argument("kind", type=_KINDS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_at_a_level
@_of_deployment
def validate_file(
    kind: str, file: Path, as_json: bool, tuning: Any, mine: Path | None, **named: Any
) -> None:
    """Compare predictions with the measurements in FILE.

    FILE is a table of the columns that `data/README.md` explains or, for serving, a result of `vllm
    bench serve`, SGLang's bench_serving, GuideLLM, AIPerf, GenAI-Perf or InferenceX.
    """
    frame = _rows(kind, file, named)
    own = _own(kind, mine)
    from llmecon.evidence import predictions, reports

    found = reports.report(kind, frame, predictions.predict(kind, frame, None, tuning, own))
    group = reports.GROUPS.get(kind, "model")
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return
    head = f"{'':<24} {'rows':>5} {'median':>7} {'mean':>7} {'in 2x':>6} {'bias':>7} {'in 90%':>7} "
    head += f"{'width':>6}"
    for name, errors in found.targets.items():
        click.echo(f"{name}: absolute percentage error over rows, and by {group}\n{head}")
        click.echo(
            f"{'all':<24} {errors.rows:>5} {errors.median_ape:>7.1%} {errors.mean_ape:>7.1%} "
            f"{errors.within_2x:>6.0%} {errors.bias:>+7.1%} {errors.coverage_90:>7.0%} "
            f"{errors.width_90:>5.2f}x"
        )
        mean = "mean over models" if group == "model" else f"mean over {group}"
        click.echo(f"{mean:<24} {'':>5} {errors.over_models:>7.1%}")
        for model, of in errors.by_model.items():
            click.echo(
                f"{model:<24} {of.rows:>5} {of.median_ape:>7.1%} {of.mean_ape:>7.1%} "
                f"{'':>6} {of.bias:>+7.1%} {of.coverage_90:>7.0%}"
            )
        click.echo()
    click.echo(f"rows not used: {len(found.skipped)}")
    for row, reason in found.skipped:
        click.echo(f"  {row}: {reason}")


@click.command("predict")
@click.argument("kind", type=_KINDS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "output", type=click.Path(path_type=Path), required=True, help="CSV file to write."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@_at_a_level
@_of_deployment
def predict_file(
    kind: str, file: Path, output: Path, force: bool, tuning: Any, mine: Path | None, **named: Any
) -> None:
    """Add predictions with 90% intervals to the rows of FILE; see `llmecon validate` for FILE."""
    from llmecon.publishing.build import files

    with files.writing(output, force) as new:
        frame = _rows(kind, file, named)
        ready = [of for of in frame if str(of).startswith(_PREDICTED) or of == _NOT_PREDICTED]
        if ready:
            raise InputError(
                f"{file} holds predictions already, such as {ready[0]}: leave them out"
            )
        own = _own(kind, mine)
        from llmecon.evidence import predictions

        found = predictions.predict(kind, frame, None, tuning, own).add_prefix(_PREDICTED)
        found = found.rename(columns={f"{_PREDICTED}reason": _NOT_PREDICTED})
        frame.join(found).to_csv(new, index=False)
    click.echo(f"predictions: {output}")


@click.command("fit-mine")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "output", type=click.Path(path_type=Path), required=True, help="JSON file to write."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--kind",
    type=click.Choice(list(_DEPLOYMENTS)),
    default="serving",
    show_default=True,
    help="Whether FILE is of requests in flight, or of a backlog.",
)
@_of_deployment
def fit_mine(file: Path, output: Path, force: bool, kind: str, **named: Any) -> None:
    """Learn from a handful of measurements of your own how your deployment differs.

    FILE is what `llmecon validate` reads. Give what is written to validate and predict as
    --my-server.
    """
    from llmecon.publishing.build import files

    frame = _rows(kind, file, named)
    with files.writing(output, force) as new:
        from llmecon import words
        from llmecon.evidence import own_rows, predictions

        physics, reasons = predictions.physics(kind, frame)
        if physics.empty:
            raise InputError(f"no row can be used: {reasons.iloc[0]}")
        mine = own_rows.of_measurements(frame, physics, kind)
        new.write_text(own_rows.as_text(mine), encoding="utf-8")
    for target, of in mine.groupby("target", sort=False):
        factor = math.exp((of["sign"] * of["slowness"]).median())
        rows = words.count(len(of), "row")
        click.echo(f"{target}: {factor:.2f} times that of a well tuned deployment, from {rows}")
    unused = int((reasons != "").sum())
    click.echo(f"my server: {output}" + (f" (rows not used: {unused})" if unused else ""))


@click.command("calibrate")
@click.option("--held-out", is_flag=True, help="Also predict every row by a fit without its group.")
def calibrate_efficiencies(held_out: bool) -> None:
    """Fit the efficiencies to data/measured_*.csv again and store them under data/."""
    from llmecon.evidence import (
        deployment_fit,
        leave_out,
        serving_fit,
        stored_fits,
        training_fit,
    )

    _say("fitting the serving measurements")
    stored_fits.write(serving_fit.fit(serving_fit.measured()))
    _say("fitting the training measurements")
    steps = training_fit.calibrate_steps()
    stored_fits.write_values(steps.posterior, "measured_training_steps")
    posterior = training_fit.posterior_table(steps.posterior)
    stored_fits.write_table(posterior, "training_posterior")
    _say("fitting how far deployments differ")
    deployment_fit.write()
    if held_out:
        _say("leaving out models, accelerators and engines; this takes a quarter of an hour")
        stored_fits.write_table(leave_out.every_held_out(), "held_out")
        _say("leaving out publishers; this takes some minutes")
        deployment_fit.write_held_out()
    click.echo(f"efficiencies: {paths.DATA / 'efficiencies.csv'}")


def _say(line: str) -> None:
    click.echo(line, err=True)
