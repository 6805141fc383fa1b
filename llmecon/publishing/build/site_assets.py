"""What pages load beside their own text: fonts, maths, and the script that draws charts.

All of it comes from installed packages, cut to what the book uses, so that no page needs a network.
"""

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import fontpkg_inter
from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

from llmecon import paths
from llmecon.execution import disk_cache

# Latin, Greek, punctuation, super- and subscripts, arrows, operators, plain shapes.
_CHARACTERS = (
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),
    *range(0x370, 0x400),
    *range(0x2000, 0x20A0),
    0x20AC,
    0x2122,
    *range(0x2190, 0x2196),
    *range(0x2200, 0x230C),
    *range(0x25A0, 0x2600),
)
_FEATURES = ["kern", "mark", "mkmk", "ccmp", "locl", "calt", "tnum", "sups", "subs"]
_FONTS = {"inter": "Inter[opsz,wght].ttf", "inter-italic": "Inter-Italic[opsz,wght].ttf"}

# MathJax's parts in the order in which they need each other. The combined files that come with it
# hold a menu that the book turns off.
_MATHS = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "a11y/assistive-mml.js",
)


def write_fonts(vendor: Path) -> None:
    """Put the text font and its licence into the folder `fonts` of a folder."""
    shutil.copytree(_text_fonts(), vendor / "fonts", dirs_exist_ok=True)


def _text_fonts() -> Path:
    """The folder of Inter's subsets and licence, made once for each version of the font."""
    wanted = repr((_CHARACTERS, _FEATURES, _FONTS, importlib.metadata.version("fontpkg-inter")))
    folder = paths.BUILD / "fonts" / hashlib.sha256(wanted.encode()).hexdigest()[:12]
    if not folder.is_dir():
        new = folder.with_suffix(".new")
        new.mkdir(parents=True, exist_ok=True)
        for name, file in _FONTS.items():
            font = reduced(fontpkg_inter.ROOT / "files" / file, _CHARACTERS)
            # One optical size, and the weights that the style sheets name.
            font = instancer.instantiateVariableFont(font, {"opsz": 14, "wght": (400, 700)})
            font.flavor = "woff2"
            font.save(new / f"{name}.woff2")
        shutil.copyfile(fontpkg_inter.ROOT / "LICENSE", new / "inter-LICENSE.txt")
        new.rename(folder)
    return folder


def reduced(file: Path, characters: Iterable[int]) -> TTFont:
    """A font cut to some characters, given by their code points."""
    font = TTFont(file)
    options = subset.Options()
    options.layout_features = _FEATURES
    reducer = subset.Subsetter(options)
    reducer.populate(unicodes=characters)
    reducer.subset(font)
    return font


def write_maths(vendor: Path) -> None:
    """Join the parts of MathJax that the book needs, and name its fonts in a style sheet.

    From its own style rules MathJax would look for the fonts relative to each page, and a report
    in one file could not carry them.
    """
    files = {
        str(file).partition("/mathjax/")[2]: Path(str(file.locate()))
        for file in importlib.metadata.files("sphinx-mathjax-offline") or ()
    }
    parts = [files[name].read_text(encoding="utf-8") for name in _MATHS]
    loaded = ",".join(f'"{name.removesuffix(".js")}"' for name in _MATHS)
    parts.append(
        "MathJax._.output.chtml.fonts.tex_ts.TeXFont.defaultFonts = {};"
        f"MathJax.loader.preLoad({loaded});"
    )
    (vendor / "mathjax.js").write_text("\n".join(parts), encoding="utf-8")

    fonts = vendor / "fonts"
    fonts.mkdir(parents=True, exist_ok=True)
    rules = []
    tables = files["output/chtml/fonts/tex.js"].read_text(encoding="utf-8")
    base = files["output/chtml.js"].read_text(encoding="utf-8")
    for family, name in re.findall(
        r'"font-family":"([\w-]+)",src:\'url\("%%URL%%/([\w.-]+)"\)', base + tables
    ):
        shutil.copyfile(files[f"output/chtml/fonts/woff-v2/{name}"], fonts / name)
        rules.append(
            f'@font-face {{ font-family: {family}; src: url("fonts/{name}") format("woff"); }}\n'
        )
    (vendor / "mathjax.css").write_text("".join(rules), encoding="utf-8")


def write_charts(vendor: Path) -> None:
    """Put the script that draws charts into a folder."""
    vendor.mkdir(parents=True, exist_ok=True)
    of_version = disk_cache.digest(importlib.metadata.version("vl-convert-python"))
    bundle = disk_cache.kept("scripts", of_version, _bundled)
    # In a function of its own, because its short global names clash with those of other scripts.
    (vendor / "vega.js").write_text(f"(() => {{{bundle}\n}})();\n", encoding="utf-8")


def _bundled() -> str:
    """The script that draws charts, which takes seconds to put together."""
    import vl_convert

    return vl_convert.javascript_bundle()  # type: ignore[call-arg]  # a snippet may be left out


def write_reveal(vendor: Path) -> None:
    """Put reveal.js, its speaker view and its licence into a folder."""
    found = importlib.util.find_spec("sphinx_revealjs")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("no reveal.js", name="sphinx_revealjs")
    package = Path(found.origin).parent / "_static" / "revealjs"
    vendor.mkdir(parents=True, exist_ok=True)
    for name in ("dist/reset.css", "dist/reveal.css"):
        shutil.copyfile(package / name, vendor / Path(name).name)
    for name in ("dist/reveal.js", "plugin/notes/notes.js"):
        script = (package / name).read_text(encoding="utf-8")
        script = re.sub(r"^//# sourceMappingURL=.*$", "", script, flags=re.MULTILINE)
        (vendor / Path(name).name).write_text(script, encoding="utf-8")
    shutil.copyfile(package / "LICENSE", vendor / "reveal-LICENSE.txt")
