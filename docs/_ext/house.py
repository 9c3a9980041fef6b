"""Two directives that follow the code: the help of a command, and the reference of all modules of a package."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import pkgutil
import sys
from pathlib import Path
from unittest import mock

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "inference.py": ("inference.py", "python inference.py"),
    "hifi-gan/train.py": ("hifi-gan/train.py", "python hifi-gan/train.py"),
    "gradtts-interp": ("gradtts_interp.cli.main", "gradtts-interp"),
}


def help_of(command: str, arguments: list[str]) -> str:
    """What a command prints for ``--help``.

    Args:
        command: A key of :data:`COMMANDS`.
        arguments: What stands before ``--help``, such as a verb.

    Returns:
        The help.
    """
    where, _ = COMMANDS[command]
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(where).stem + "_command", ROOT / where)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    printed = io.StringIO()
    known = {"COLUMNS": "100", "NO_COLOR": "1"}
    with contextlib.redirect_stdout(printed), mock.patch.object(sys, "argv", [Path(command).name]):
        with mock.patch.dict(os.environ, known), contextlib.suppress(SystemExit):
            module.main([*arguments, "--help"])
    return printed.getvalue()


class CommandHelp(SphinxDirective):
    """``.. command-help:: gradtts-interp train``: the help that the command itself prints."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Make a literal block."""
        command, *arguments = self.arguments[0].split()
        text = help_of(command, arguments)
        if not text.strip():
            raise self.error(f"{self.arguments[0]} --help prints nothing")
        title = " ".join([COMMANDS[command][1], *arguments, "--help"])
        return [nodes.literal_block(f"$ {title}\n\n{text}", f"$ {title}\n\n{text}", language="none")]


class Modules(SphinxDirective):
    """``.. modules:: gradtts_interp.text``: a section for the package and one for each module of it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse one automodule directive for each module."""
        package = importlib.import_module(self.arguments[0])
        names = [package.__name__]
        if hasattr(package, "__path__"):
            found = sorted(
                m.name for m in pkgutil.iter_modules(package.__path__, package.__name__ + ".") if not m.ispkg
            )
            names += [n for n in found if not n.rsplit(".", 1)[1].startswith("_")]
        lines: list[str] = []
        for name in names:
            lines += [f"``{name}``", "-" * (len(name) + 4), "", f".. automodule:: {name}"]
            # A package only re-exports what its modules document.
            lines += ["   :no-members:", ""] if name == package.__name__ and len(names) > 1 else [""]
        holder = nodes.section()
        holder.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source=self.arguments[0]), holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True}
