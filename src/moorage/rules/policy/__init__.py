"""Who may do what: the policies of IAM, as far as they can touch ECR. Pure: no IO, no clock.

    document    parse(text, kind) -> Policy, or PolicyInvalid; compiled once per text
    request     what is asked: principal, action, resource, and the context of condition keys
    decision    decide(request, policies) -> Decision: all of IAM's logic over all policies that apply
    explanation explain(request, policies): every statement with what it came to, for people
    managed     the policies of AWS by their ARNs
    layout      a policy's text as ECR answers with it
    lockout     whether somebody could still set a repository's policy

Below them: ``statements`` (one statement against one request), ``principals``, ``conditions`` with ``values`` and
``keys``, ``patterns`` (wildcards and variables), ``actions``.

What cannot be judged fails closed. A condition on a key that Moorage does not know cannot be judged, nor one that
rests on something *not* being equal to a variable without a value: an Allow with such a condition never applies, a
Deny applies unless another of its conditions is false. Operators that do not exist are refused by ``parse``.
"""
