"""The proofs' benches in simulation, with and without broken blocks, and one proof where the solver is installed."""

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from amaranth.hdl import Fragment, Module, Value
from amaranth.sim import SimulatorContext

from actcodec.errors import ActcodecError
from actcodec_rtl.formal import __main__ as command
from actcodec_rtl.formal.bench import Bench
from actcodec_rtl.formal.claims import INVARIANT, PROMISE, RULE, SIGHT, Claims
from actcodec_rtl.formal.opened import Mutant, Opened
from actcodec_rtl.formal.proof import Outcome, Proof, catch, prove
from actcodec_rtl.formal.proofs import all_proofs
from actcodec_rtl.formal.report import line, mutants_table, proofs_table, trace
from actcodec_rtl.formal.skid import SkidBench
from actcodec_rtl.formal.tools import missing_tools
from actcodec_rtl.formal.transition import rtlil_of
from actcodec_rtl.skid import SkidBuffer
from support.streams import simulate

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "formal.json"
PROOFS = {proof.name: proof for proof in all_proofs()}
SMALL = ("skid 8 bits", "packer 8-bit word", "unpacker 8-bit word", "round trip 8-bit word", "placing 2 codes")
MUTANTS = [(name, mutant) for name in SMALL for mutant in PROOFS[name].mutants]

solver = pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())} (extra dev)")


def first_broken(bench: Bench, cycles: int, seed: int = 1) -> tuple[int, list[str]] | None:
    """The cycle and the claims that random inputs within the rules break; None if they hold."""
    rng, found = random.Random(seed), []

    def named(prefix: str) -> list[str]:
        return [name for name in bench.claimed if name.startswith(prefix)]

    async def testbench(ctx: SimulatorContext) -> None:
        for cycle in range(cycles):
            for _ in range(1000):
                for value in map(Value.cast, bench.free.values()):
                    # Small numbers keep to the rules more often, large ones now and then are needed too.
                    ctx.set(value, rng.getrandbits(len(value)) >> rng.choice((0, rng.randrange(len(value)))))
                if all(ctx.get(bench.claimed[name]) for name in named(RULE)):
                    break
            else:
                pytest.fail("no inputs within the rules")
            broken = [name for name in (*named(PROMISE), *named(INVARIANT)) if not ctx.get(bench.claimed[name])]
            if broken:
                found.append((cycle, broken))
                return
            await ctx.tick()

    simulate(bench, testbench)
    return found[0] if found else None


@pytest.mark.parametrize("name", PROOFS)
def test_benches_are_written_for_the_solver_with_every_claim(name: str) -> None:
    bench = PROOFS[name].make(None)
    text = rtlil_of(bench)
    for prefix in (PROMISE, SIGHT):
        assert any(claim.startswith(prefix) for claim in bench.claimed)
    for claim in bench.claimed:
        assert f"\\{claim}\n" in text
    assert text.count("$check") == len(bench.claimed)


@pytest.mark.parametrize("name", [*SMALL, "unpacker default"])
def test_random_inputs_break_no_claim(name: str) -> None:
    assert first_broken(PROOFS[name].make(None), 300) is None


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=[f"{name}-{mutant.name}" for name, mutant in MUTANTS])
def test_random_inputs_find_a_broken_block(name: str, mutant: Mutant) -> None:
    found = first_broken(PROOFS[name].make(mutant), 4000, seed=4)
    assert found is not None and all(claim.startswith(PROMISE) for claim in found[1])


def test_a_signal_that_was_renamed_is_said_to_be_missing() -> None:
    opened = Opened(SkidBuffer(4))
    Fragment.get(opened, None)
    with pytest.raises(ActcodecError, match="SkidBuffer: has no signal 'side', which"):
        opened.inside["side"]


def test_a_mutant_is_told_from_the_block_by_its_bench_only() -> None:
    for proof in PROOFS.values():
        assert proof.mutants
        assert len({mutant.name for mutant in proof.mutants}) == len(proof.mutants)


class Claiming(SkidBench):
    """A bench with one more claim or sight, about what the solver chooses."""

    def __init__(self, prefix: str, mutant: Mutant | None = None) -> None:
        super().__init__(4, mutant)
        self._prefix = prefix

    def describe(self, m: Module, claims: Claims) -> None:
        super().describe(m, claims)
        payload = self.skid.o.payload
        if self._prefix == PROMISE:
            claims.promise("nine_never_leaves", ~self.skid.o.valid | (payload != 9))
        elif self._prefix == INVARIANT:
            claims.invariant("nine_is_never_left_over", payload != 9)
        else:
            claims.sight("more_than_there_is", payload > 15)


def altered(prefix: str) -> Proof:
    return replace(PROOFS["skid 8 bits"], make=partial(Claiming, prefix))


@solver
def test_a_proof_is_found_and_its_mutant_caught() -> None:
    proof = PROOFS["skid 8 bits"]
    outcome = prove(proof)
    assert outcome.good and outcome.kind == "inductive" and not trace(outcome)
    assert outcome.sights == {
        "the_marked_payload_leaves": 1,
        "the_marked_payload_waits_behind_another": 2,
        "both_registers_are_full": 2,
    }
    # Two payloads enter, the first leaves, and the second is lost.
    caught = catch(proof, next(mutant for mutant in proof.mutants if mutant.name == "back_is_dropped"))
    assert caught.depth == 3 and caught.broken == ["the_marked_payload_comes_in_its_turn"]


@solver
def test_what_has_no_state_is_proved_for_all_inputs() -> None:
    outcome = prove(PROOFS["placing 2 codes"])
    assert outcome.good and outcome.kind == "combinational" and outcome.depth == 0


@solver
def test_a_false_promise_is_shown_with_the_inputs_that_break_it() -> None:
    outcome = prove(altered(PROMISE))
    assert outcome.status == "broken in cycle 1: promise_nine_never_leaves" and not outcome.good
    shown = trace(outcome)
    assert len(shown) == 2 and "offered=0x1" in shown[0] and "payload=0x9" in shown[0]
    assert "BROKEN IN CYCLE 1" in line(outcome)


@solver
def test_a_register_without_reset_may_hold_anything_in_the_first_cycle() -> None:
    assert prove(altered(INVARIANT)).status == "broken in cycle 0: invariant_nine_is_never_left_over"


@solver
def test_a_proof_about_what_cannot_happen_is_none() -> None:
    assert prove(altered(SIGHT)).status == "vacuous: sight_more_than_there_is"


@solver
def test_the_command_proves_what_is_asked_for_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "formal.json"
    monkeypatch.setattr("sys.argv", ["formal", "--only", "placing 2", "--out", str(target)])
    assert command.main() == 0
    content = json.loads(target.read_text())
    assert [proof["name"] for proof in content["proofs"]] == ["placing 2 codes"]
    assert "4 of 4 proofs and mutants as they should be" in capsys.readouterr().out
    assert proofs_table(content).count("\n") == 2 and mutants_table(content).count("\n") == 4


@solver
def test_the_command_fails_where_a_proof_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["formal"])
    monkeypatch.setattr(command, "all_proofs", lambda: [replace(altered(PROMISE), mutants=())])
    assert command.main() == 1


@solver
def test_what_yosys_refuses_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actcodec_rtl.formal.transition._COMMANDS", ("no_such_pass",))
    with pytest.raises(ActcodecError, match=r"yosys: could not write SMT-LIB: .*no_such_pass"):
        prove(PROOFS["skid 8 bits"])


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        (["bitwuzla"], [], "error: bitwuzla: not installed; pip install -c constraints.txt -e '.[dev]'"),
        ([], ["--only", "paker"], "error: --only: no proof's name begins with 'paker'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    missing: list[str],
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["formal", *arguments])
    monkeypatch.setattr("actcodec_rtl.formal.tools.missing_tools", lambda: missing)
    assert command.main() == 2
    assert capsys.readouterr().err == message + "\n"


def test_the_kept_result_has_every_proof_and_mutant_and_all_are_good() -> None:
    content = json.loads(RESULT.read_text())
    assert [proof["name"] for proof in content["proofs"]] == list(PROOFS)
    assert all(proof["status"] == "proved" for proof in content["proofs"])
    assert [(mutant["proof"], mutant["mutant"]) for mutant in content["mutants"]] == [
        (name, mutant.name) for name, proof in PROOFS.items() for mutant in proof.mutants
    ]
    assert all(mutant["depth"] is not None for mutant in content["mutants"])


def test_a_line_says_aloud_what_failed() -> None:
    outcome = Outcome("packer", "", "inductive", 1, 1, 1, 1, 0.1, "vacuous: sight_x", {})
    assert "VACUOUS: SIGHT_X" in line(outcome)
