"""Errors and coverage of predictions by publisher: `python -m benchmarks.publishers`."""

from llmecon.checks import left_out_publishers


def main() -> None:
    """Print how far predictions of each kind are from what each publisher measured."""
    found = left_out_publishers.summary()
    for reading, of in found.groupby("reading", sort=False):
        print(
            f"{reading}: median error, within 2x, bias, in the 90% interval, there in the worst"
            " quarter, width"
        )
        for row in of.to_dict("records"):
            print(
                f"  {row['prediction']:<12} {row['publisher']:<8} {row['rows']:>5.0f} "
                f"{row['median']:>7.1%} {row['within_2x']:>5.0%} {row['bias']:>+7.1%} "
                f"{row['inside']:>5.0%} {row['worst_quarter']:>5.0%} {row['width']:>6.2f}x"
            )


if __name__ == "__main__":
    main()
