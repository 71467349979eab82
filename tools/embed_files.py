"""Make the files that calando ships, in place of the packages that they are from; runs in the dev environment.

    src/calando/report/templates/vega.js.gz     Vega, Vega-Lite and Vega-Embed as one script, as vl-convert bundles them
    src/calando/tasks/data/digits.npy.gz        scikit-learn's digits: uint8[1797, 65], 64 pixels (0 … 16) and the label

`tests/end_to_end/test_package.py` compares both with those packages.
"""

import gzip
import io
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).parents[1] / "src" / "calando"
SCRIPT = SOURCE / "report" / "templates" / "vega.js.gz"
DIGITS = SOURCE / "tasks" / "data" / "digits.npy.gz"


def script() -> str:
    """Sets `window.vegaEmbed`; of the newest Vega-Lite that altair writes."""
    import altair
    import vl_convert

    major = altair.SCHEMA_VERSION.lstrip("v").split(".")[0]
    version = [one for one in vl_convert.get_vegalite_versions() if one.split(".")[0] == major][-1]
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)


def digits() -> np.ndarray:
    """Every value is a small whole number."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels, labels]).astype(np.uint8)


def main() -> None:
    """Write both."""
    SCRIPT.write_bytes(gzip.compress(script().encode(), 9, mtime=0))
    table = io.BytesIO()
    np.save(table, digits())
    DIGITS.write_bytes(gzip.compress(table.getvalue(), 9, mtime=0))


if __name__ == "__main__":
    main()
