"""A network as a graph of operations (torch.fx), with the shape of every intermediate tensor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from actcodec.errors import ActcodecError


def trace(model: nn.Module) -> fx.GraphModule:
    """Return a traced copy of ``model`` in evaluation mode.

    Raises ActcodecError naming the innermost module that cannot be traced, and why.
    """
    tracer = _Tracer()
    try:
        root = copy.deepcopy(model).eval()
        graph = tracer.trace(root)
    except Exception as error:  # The forward methods of any network run here.
        where = tracer.failed or f"network {type(model).__name__}"
        problem = f"cannot be traced ({reason(error)}); name its sites by module (--sites)"
        raise ActcodecError(where, problem) from error
    return fx.GraphModule(root, graph, type(model).__name__)


def trace_with_shapes(model: nn.Module, input_shape: tuple[int, int, int]) -> fx.GraphModule:
    """Return `trace` of ``model``; ``node.meta["shape"]`` is every tensor's for one image of C×H×W ``input_shape``.

    Raises ActcodecError where the network cannot be traced or does not take such an image.
    """
    traced = trace(model)
    run_once(_ShapeRecorder(traced).run, model, input_shape)
    return traced


def run_once(forward: Callable[[Tensor], Any], model: nn.Module, input_shape: tuple[int, int, int]) -> Any:
    """Return ``forward`` of one black image; ActcodecError names ``model`` where it fails."""
    try:
        with torch.no_grad():
            return forward(torch.zeros(1, *input_shape))
    except ActcodecError:
        raise
    except Exception as error:
        problem = f"does not run on an image C×H×W {input_shape}: {reason(error)}"
        raise ActcodecError(f"network {type(model).__name__}", problem) from error


def reason(error: Exception) -> str:
    """The first line of ``error``, or its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def module_of(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module that ``node`` calls, None where it calls none."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def data_users(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that read the values of ``node``; those that ask for its shape only are left out."""
    return [user for user in node.users if not _asks_for_shape(user)]


def _asks_for_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim", "dtype")


class _Tracer(fx.Tracer):
    """Remembers the innermost module that failed."""

    failed: str | None = None

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            if self.failed is None:
                paths = [path for path, module in self.root.named_modules() if module is m]
                self.failed = f"module {(paths or ['outside the network'])[0]} ({type(m).__name__})"
            raise


class _ShapeRecorder(fx.Interpreter):
    """Runs the graph and notes the shape of every tensor."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            n.meta["shape"] = tuple(result.shape)
        return result
