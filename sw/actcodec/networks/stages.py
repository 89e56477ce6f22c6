"""A network that can be stopped at any site and taken up there again.

What the operations after a site still need of those before it, its *state*, is kept at the site; a change at one site
then costs the operations behind it only, and a piece of the network between two sites can be run alone.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, fx

from actcodec.errors import ActcodecError
from actcodec.networks.sites import SitedNetwork, SiteFunction, Tap
from actcodec.networks.tracing import module_of

State = dict[fx.Node, Tensor]
Keep = Callable[[int, State], None]


class StagedNetwork:
    """``sited`` run from site to site; ``order`` is that in which the sites' tensors are finished.

    ``cuts`` are the sites behind which nothing but their own tensor is still needed: block outputs of a residual
    network. Raises ActcodecError for a network whose sites were named by hand: it has no graph.
    """

    def __init__(self, sited: SitedNetwork) -> None:
        if sited.graph is None:
            raise ActcodecError("sites", "were named by module; a network is cut at sites found by tracing only")
        self._interpreter = fx.Interpreter(sited.graph, garbage_collect_values=False)
        self._nodes = list(sited.graph.graph.nodes)
        self._places: dict[int, int] = {}
        self._taps: dict[int, Tap] = {}
        self._copies = True
        for place, node in enumerate(self._nodes):
            module = module_of(sited.graph, node)
            if isinstance(module, Tap):
                self._places[module.index] = place
                self._taps[place] = module
                self._copies = module.copies
        self.order = tuple(self._places)
        self._last_use: dict[fx.Node, int] = {}
        for place, node in enumerate(self._nodes):
            for read in node.all_input_nodes:
                self._last_use[read] = place
        self.cuts = tuple(site for site in self.order if self._alone(self._places[site]))

    def _alone(self, place: int) -> bool:
        before = self._nodes[:place]
        return all(self._last_use.get(node, 0) <= place for node in before if node.op != "get_attr")

    def run(self, x: Tensor, fn: SiteFunction | None = None, keep: Keep | None = None) -> Tensor:
        """Return the logits of inputs ``x``, N×C×H×W, as ``SitedNetwork`` does.

        ``keep(site, state)`` is given the state *before* every site.
        """
        return self._run({self._nodes[0]: x}, 1, len(self._nodes), fn, keep)

    def resume(self, site: int, state: State, fn: SiteFunction | None = None, keep: Keep | None = None) -> Tensor:
        """Return the logits from ``state``, what ``keep`` was given before ``site``; ``site`` itself is run as well."""
        return self._run(dict(state), self._places[site], len(self._nodes), fn, keep)

    def between(self, first: int | None, last: int | None, x: Tensor, fn: SiteFunction | None = None) -> Tensor:
        """Run the piece behind cut ``first`` (None: from the inputs) up to site ``last`` (None: to the logits).

        ``x`` is what readers of ``first`` get; returns what readers of ``last`` get.
        """
        begin = 0 if first is None else self._places[first]
        end = len(self._nodes) if last is None else self._places[last] + 1
        return self._run({self._nodes[begin]: x}, begin + 1, end, fn, None)

    def modules_between(self, first: int | None, last: int | None) -> tuple[str, ...]:
        """Return the paths of the modules that this piece calls, taps left out."""
        begin = 0 if first is None else self._places[first] + 1
        end = len(self._nodes) if last is None else self._places[last]
        return tuple(str(node.target) for node in self._nodes[begin:end] if node.op == "call_module")

    def sites_between(self, first: int | None, last: int | None) -> tuple[int, ...]:
        """Return the sites behind ``first`` up to and with ``last``, in order."""
        begin = 0 if first is None else self.order.index(first) + 1
        end = len(self.order) if last is None else self.order.index(last) + 1
        return self.order[begin:end]

    def _run(self, state: State, begin: int, end: int, fn: SiteFunction | None, keep: Keep | None) -> Tensor:
        env = self._interpreter.env = state
        for node in self._nodes[:begin]:
            if node.op == "get_attr":
                state[node] = self._interpreter.run_node(node)
        node = self._nodes[begin - 1]
        for place in range(begin, end):
            node = self._nodes[place]
            tap = self._taps.get(place)
            if tap is not None:
                if keep is not None:
                    keep(tap.index, {n: v.clone() for n, v in state.items()} if self._copies else dict(state))
                tensor = state[node.all_input_nodes[0]]
                state[node] = tensor if fn is None else tap.through(fn, tensor)
            else:
                state[node] = self._interpreter.run_node(node)
            for read in node.all_input_nodes:
                if self._last_use[read] <= place:
                    env.pop(read, None)
        return state[node]
