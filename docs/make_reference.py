"""Writes docs/reference.md from the docstrings, registrations, commands and messages of the package.

    python docs/make_reference.py           # write it
    python docs/make_reference.py --check   # only say whether it is out of date (exit 1)

What stands in the page is in the code: to change a sentence there, change the docstring.
"""

from __future__ import annotations

import argparse
import configparser
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import spacy_xlt
from spacy_xlt import errors

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"
COMMAND = "python docs/make_reference.py"

# Heading of a registry, and what one writes in a config to ask for one of its functions
REGISTRIES = {
    "misc": ("Engines, quality gates and filters", "@misc"),
    "architectures": ("Architectures", "@architectures"),
    "readers": ("Corpus readers", "@readers"),
    "batchers": ("Batchers", "@batchers"),
    "augmenters": ("Augmenters", "@augmenters"),
    "loggers": ("Loggers", "@loggers"),
    "callbacks": ("Callbacks", "@callbacks"),
}
# Classes whose fields are settings of a config, though nothing registers them
BLOCKS = {
    "`[corpora.*.sources.NAME]`: a source of MixedCorpus and DevCorpus": "spacy_xlt.training.sources:Source",
    "`[compare]` of a plan": "spacy_xlt.compare.plan:Plan",
    "`[strategies.NAME]` of a plan": "spacy_xlt.compare.plan:Strategy",
}
PROTOCOLS = ("Translator", "Aligner", "Projector", "Scorer", "Attender", "Forcer", "TermTranslator", "NBestTranslator")
STAGES = {
    "0": "Nouns and languages",
    "1": "Components",
    "2": "Translation",
    "3": "Alignment",
    "4": "Projection",
    "5": "Commands and corpora",
    "6": "Training and evaluation",
    "7": "Bundled models",
}

_SETTING = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \((?P<type>.+?)\))?: (?P<text>.*)$")
_SECTION = re.compile(r"^(RETURNS|YIELDS|RAISES)\b")


def doc_of(thing: Any) -> str:
    """A thing's own docstring, without indentation; "" where it has none."""
    doc = vars(thing).get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    return inspect.cleandoc(doc) if doc else ""


def intro_of(thing: Any) -> str:
    """All of a docstring up to its settings, as one paragraph for each of its own."""
    lines: list[str] = []
    for line in doc_of(thing).splitlines():
        if _SECTION.match(line) or _is_setting(line, thing):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def first_paragraph(thing: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(intro_of(thing).split("\n\n")[0].split())


def _is_setting(line: str, thing: Any) -> bool:
    found = _SETTING.match(line)
    if not found or _SECTION.match(line):
        return False
    names = {name.strip(" *") for name in found["names"].split(",")}
    return found["type"] is not None or names <= _names_of(thing)


def _names_of(thing: Any) -> set[str]:
    try:
        return set(inspect.signature(thing).parameters)
    except (ValueError, TypeError):
        return set()


def settings_of(thing: Any) -> dict[str, tuple[str, str]]:
    """What a docstring says of settings: name → (type, text)."""
    found: dict[str, tuple[str, str]] = {}
    open_names: list[str] = []
    for line in doc_of(thing).splitlines():
        if match := _SETTING.match(line) if _is_setting(line, thing) else None:
            open_names = [name.strip(" *") for name in match["names"].split(",")]
            found |= dict.fromkeys(open_names, (match["type"] or "", match["text"]))
        elif line.startswith("    ") and open_names:
            for name in open_names:
                kind, text = found[name]
                found[name] = kind, f"{text} {line.strip()}"
        else:
            open_names = []
    return found


def also_described_by(function: Callable[..., Any]) -> Iterator[Any]:
    """The function, then the classes whose docstrings describe its settings: what it returns, and what it names."""
    yield function
    module = sys.modules[function.__module__]
    annotation = str(getattr(function, "__annotations__", {}).get("return", ""))
    named = [annotation, *re.findall(r"`?(\w+)`?", doc_of(function))]
    for name in dict.fromkeys(named):
        value = getattr(module, name, None)
        if inspect.isclass(value):
            yield from (cls for cls in value.__mro__ if cls.__module__.startswith("spacy_xlt"))


def explain(function: Callable[..., Any], names: list[str]) -> dict[str, tuple[str, str]]:
    """Type and meaning of settings, from the first docstring that says something of each."""
    found: dict[str, tuple[str, str]] = {}
    for thing in also_described_by(function):
        for name, said in settings_of(thing).items():
            pointer = said[1].startswith(("See `", "As in "))
            if name not in found or (found[name][1].startswith(("See `", "As in ")) and not pointer):
                found[name] = said
    return {name: found.get(name, ("", "")) for name in names}


def table(function: Callable[..., Any], defaults: dict[str, Any]) -> list[str]:
    """Rows of settings with their defaults and what they mean."""
    if not defaults:
        return []
    said = explain(function, list(defaults))
    lines = ["| setting | default | |", "|---|---|---|"]
    for name, default in defaults.items():
        kind, text = said[name]
        shown = "required" if default is inspect.Parameter.empty else f"`{_in_config(default)}`"
        shown = "" if str(default) == "<factory>" else shown
        typed = f"*{_cell(kind)}.* " if kind else ""
        lines.append(f"| `{name}` | {_cell(shown)} | {typed}{_cell(text)} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _in_config(value: Any) -> str:
    """A default as it stands in a config."""
    if isinstance(value, dict) and any(str(key).startswith("@") for key in value):
        return ", ".join(f"{key} = {_in_config(one)}" for key, one in value.items())
    if isinstance(value, (str, type(None), bool)):
        return {None: "null", True: "true", False: "false"}.get(value, f'"{value}"')
    return repr(value).replace("'", '"')


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters with their defaults. Variable ones (**settings) are what a parent class has."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {n: p.default for n, p in inspect.signature(function).parameters.items() if p.kind not in kinds}


def entry_points() -> dict[str, dict[str, str]]:
    """Group → name → "module:function", from setup.cfg."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(ROOT / "setup.cfg", encoding="utf8")
    return {
        group: dict(re.findall(r"^(\S+)\s*=\s*(\S+)$", lines.strip(), flags=re.MULTILINE))
        for group, lines in parser["options.entry_points"].items()
    }


def load(target: str) -> Any:
    """What "module:name" names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def public_api() -> Iterator[str]:
    yield "## In Python\n"
    for name in sorted(spacy_xlt.__all__, key=str.lower):
        thing = getattr(spacy_xlt, name)
        if isinstance(thing, str):
            continue
        yield f"### `spacy_xlt.{name}`\n"
        yield from _described(thing)
        for member, value in _members(thing) if inspect.isclass(thing) else ():
            yield f"- `{member}`: {value}"
        yield ""
    yield "### Protocols of engines\n"
    yield "What `spacy_xlt.protocols` asks of an engine of your own. Every engine has a `signature`.\n"
    protocols = import_module("spacy_xlt.protocols")
    for name in PROTOCOLS:
        protocol = getattr(protocols, name)
        yield f"- **{name}**: {first_paragraph(protocol)}"
        for member, value in _members(protocol):
            yield f"  - `{member}`: {value}"
    yield ""


def _described(thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield f"```text\n{thing.__name__}{_signature(thing)}\n```\n"
    yield intro_of(thing) + "\n"
    yield from table(thing, defaults_of(thing))


def _signature(function: Callable[..., Any]) -> str:
    """Names and defaults, without types, which stand in the table."""
    parameters = inspect.signature(function).parameters.values()
    return str(inspect.Signature([one.replace(annotation=inspect.Parameter.empty) for one in parameters]))


def _members(cls: type) -> Iterator[tuple[str, str]]:
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if isinstance(member, property):
            yield name, first_paragraph(member.fget)
        elif inspect.isfunction(function) and doc_of(function):
            parameters = [n for n in inspect.signature(function).parameters if n not in ("self", "cls")]
            yield f"{name}({', '.join(parameters)})", first_paragraph(function)


def components(points: dict[str, str]) -> Iterator[str]:
    from spacy.language import Language

    yield "## Components\n"
    for name, target in points.items():
        factory = load(target)
        meta = Language.get_factory_meta(name)
        pipe = next((cls for cls in also_described_by(factory) if inspect.isclass(cls)), factory)
        yield f"### `{name}`\n"
        yield intro_of(pipe) + "\n"
        names = [key for key in defaults_of(factory) if key not in ("nlp", "name")]
        defaults = {key: meta.default_config.get(key, inspect.Parameter.empty) for key in names}
        yield from table(factory, defaults)


def registered(points: dict[str, dict[str, str]]) -> Iterator[str]:
    for registry, (heading, key) in REGISTRIES.items():
        yield f"## {heading}\n"
        for name, target in points.get(f"spacy_{registry}", {}).items():
            function = load(target)
            yield f'### `{key} = "{name}"`\n'
            yield _about(function) + "\n"
            yield from table(function, defaults_of(function))
    yield "## Blocks of configs\n"
    for heading, target in BLOCKS.items():
        cls = load(target)
        yield f"### {heading}\n"
        yield first_paragraph(cls) + "\n"
        defaults = {k: v for k, v in defaults_of(cls).items() if k in settings_of(cls) and k != "name"}
        yield from table(cls, defaults)


def _about(function: Callable[..., Any]) -> str:
    """What a registered function makes: the class says more than the function that makes it."""
    own = first_paragraph(function)
    if not re.match(r"(Make|Registered)\b", own):
        return own
    returned = str(getattr(function, "__annotations__", {}).get("return", ""))
    cls = getattr(sys.modules[function.__module__], returned, None)
    return (first_paragraph(cls) if inspect.isclass(cls) else "") or own


def commands() -> Iterator[str]:
    from typer.main import get_command

    import spacy_xlt.cli

    yield "## Commands\n"
    for name, command in sorted(get_command(spacy_xlt.cli.app).commands.items()):  # type: ignore[attr-defined]
        # A group of commands, such as `cache`
        inner = sorted(getattr(command, "commands", {}).items())
        for words, one in [(f"{name} {sub}", one) for sub, one in inner] or [(name, command)]:
            yield from _command(words, one)


def _command(name: str, command: Any) -> Iterator[str]:
    # By name: typer may bring a click of its own
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    words = [_metavar(argument) for argument in arguments]
    overrides = ["[--SETTING VALUE ...]"] if command.context_settings.get("ignore_unknown_options") else []
    yield f"### `spacy xlt {name}`\n"
    yield "```text\n" + " ".join(["python -m spacy xlt", name, *words, "[OPTIONS]", *overrides]) + "\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    if command.params:
        yield "| | default | |\n|---|---|---|"
    for argument in arguments:
        yield f"| `{_metavar(argument)}` | | {_cell(getattr(argument, 'help', '') or '')} |"
    for option in options:
        names = ", ".join(f"`{one}`" for one in [*option.opts, *option.secondary_opts])
        unset = option.default is None or option.default is False or option.default in ("", [], ())
        default = "" if unset else f"`{option.default}`"
        yield f"| {names} | {default} | {_cell(option.help or '')} |"
    yield ""


def _metavar(argument: Any) -> str:
    plain = str(argument.metavar or argument.name.upper())
    return plain if argument.required or "[" in plain else f"[{plain}]"


def messages() -> Iterator[str]:
    yield "## Errors and warnings\n"
    yield "`XltError.code` and the text before the values are filled in. `E` is an error, `W` a warning.\n"
    for stage, heading in STAGES.items():
        found = {code: text for code, text in errors._MESSAGES.items() if code[1] == stage}
        yield f"### {heading}\n"
        yield "| code | |\n|---|---|"
        for code, text in sorted(found.items(), key=lambda item: (item[0][1:], item[0][0])):
            yield f"| `{code}` | {_cell(text).replace('<', '&lt;')} |"
        yield ""


def make() -> str:
    """The whole page."""
    points = entry_points()
    head = [
        "# Reference\n",
        f"Written by `{COMMAND}` from the docstrings; change those, not this page. The guides are beside it.\n",
    ]
    parts = [public_api(), components(points["spacy_factories"]), registered(points), commands(), messages()]
    lines = [*head, *(line for part in parts for line in part)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write docs/reference.md from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where it is out of date")
    check = parser.parse_args().check
    page = make()
    if check:
        current = PAGE.read_text(encoding="utf8") if PAGE.exists() else ""
        sys.exit(0 if page == current else f"{PAGE.name} is out of date: {COMMAND}")
    PAGE.write_text(page, encoding="utf8")


if __name__ == "__main__":
    main()
