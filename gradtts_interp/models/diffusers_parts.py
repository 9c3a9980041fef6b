"""What this library takes of diffusers, without what diffusers imports for others and nobody here asks for.

To import a pipeline's base class, diffusers loads torch's compiler, to mark a few functions for it, and its
autoencoders with every transformer that it knows, for one ``isinstance``: 1,300 modules, half of the time to the first
sound. Both wait here until they are used; nothing that diffusers does is changed by it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

COMPILER = "torch._dynamo"


class _NothingCompiled:
    """Class of compiled modules while there is no compiler: none is of it."""


class _CompilerLater(ModuleType):
    """Stands for torch's compiler until something is asked of it that it has no answer to."""

    eval_frame = SimpleNamespace(OptimizedModule=_NothingCompiled)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(COMPILER, None)
        return getattr(importlib.import_module(COMPILER), name)

    @staticmethod
    def allow_in_graph(marked: Any) -> Any:
        """Leave a class or function as it is, as diffusers does itself where there is no compiler."""
        return marked

    @staticmethod
    def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any) -> Callable[..., Any]:
        """Keep a function from being compiled; until there is a compiler it is called as it is."""
        if fn is None:
            return functools.partial(_CompilerLater.disable, recursive=recursive, **options)
        disabled: list[Callable[..., Any]] = []

        @functools.wraps(fn)
        def call(*args: Any, **named: Any) -> Any:
            compiler = sys.modules.get(COMPILER)
            if compiler is None or isinstance(compiler, _CompilerLater):
                return fn(*args, **named)
            if not disabled:
                disabled.append(compiler.disable(fn, recursive, **options))
            return disabled[0](*args, **named)

        return call


@contextmanager
def compiler_later() -> Iterator[None]:
    """Do without torch's compiler for a while, unless it was imported before: then nothing can be compiled yet."""
    if COMPILER in sys.modules:
        yield
        return
    stand_in = _CompilerLater(COMPILER)
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(COMPILER) is stand_in:
            del sys.modules[COMPILER]


class _AutoencoderLater(type):
    """Class of a class that has the instances of diffusers' ``AutoencoderKL``, which it imports when it is asked."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, importlib.import_module("diffusers").AutoencoderKL)


class _Autoencoder(metaclass=_AutoencoderLater):
    pass


@contextmanager
def _autoencoders_later() -> Iterator[None]:
    """Give diffusers' pipelines a stand-in for the autoencoder that they ask a module to be of."""
    models = importlib.import_module("diffusers.models")
    if "AutoencoderKL" in vars(models):
        yield
        return
    models.AutoencoderKL = _Autoencoder  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del models.AutoencoderKL


with compiler_later():
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.models.attention_processor import Attention
    from diffusers.models.modeling_utils import ModelMixin

    with _autoencoders_later():
        from diffusers import DiffusionPipeline

__all__ = ["Attention", "ConfigMixin", "DiffusionPipeline", "ModelMixin", "compiler_later", "register_to_config"]
