"""Keeping somebody from locking themselves out of a repository's policy."""

from dataclasses import replace

from moorage.rules.policy.decision import Attached, Policies, decide
from moorage.rules.policy.document import Policy
from moorage.rules.policy.request import Request

SET_POLICY = "ecr:SetRepositoryPolicy"


def keeps_access(request: Request, policies: Policies, candidate: Policy) -> bool:
    """Whether who sends this request could still set the repository's policy if the candidate were it.

    ``request`` is the one that sets it, ``policies`` are those that it is judged by; the repository's own among
    them, which the candidate replaces, does not matter.
    """
    changed = replace(policies, resource=Attached("candidate", candidate))
    return decide(request._replace(action=SET_POLICY), changed).is_allowed
