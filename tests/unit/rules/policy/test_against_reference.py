"""Made-up policies and requests: the engine and the slow evaluator come to the same decision."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.rules.policy.decision import Decision, decide
from moorage.rules.policy.explanation import explain
from tests.unit.rules.policy.made_up import Case, make_up
from tests.unit.rules.policy.reference import answer

#: Cases for each seed.
CASES = 5


def test_engine_and_reference_decide_alike() -> None:
    """On what is made up here, of which at least a quarter is allowed and a quarter denied."""
    seen: Counter[bool] = Counter()

    @settings(max_examples=300)
    @given(st.integers(0, 2**64))
    def compare(seed: int) -> None:
        random = Random(seed)
        for _ in range(CASES):
            case = make_up(random)
            decision = decide(case.request, case.policies)
            assert decision.is_allowed is answer(case.question), case.question
            _check_explained(decision, case)
            seen[decision.is_allowed] += 1

    compare()
    assert min(seen[True], seen[False]) * 4 >= seen.total()


def _check_explained(decision: Decision, case: Case) -> None:
    """The statement that decided is among those that are explained to apply, with its effect."""
    lines = explain(case.request, case.policies)
    applying = {(line.policy, line.statement, line.effect) for line in lines if not line.obstacle}
    if decision.statement:
        effect = "Allow" if decision.is_allowed else "Deny"
        assert (decision.policy, decision.statement.label, effect) in applying
    else:
        assert "Deny" not in {effect for _, _, effect in applying}
