"""Hypothesis strategies for operation inputs, built from the contract's shapes."""

import base64
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from moorage.ecr.contract import SHAPES
from moorage.ecr.shapes import Kind, Shape

#: Patterns whose lengths random text of the pattern would seldom meet.
_LONG = {
    "CredentialArn": st.from_regex(r"[a-z0-9]{1,50}", fullmatch=True).map(
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/".__add__
    ),
    "LifecyclePolicyText": st.text(min_size=100, max_size=200),
    "ImageManifest": st.text(min_size=1, max_size=200),
    "LayerPartBlob": st.binary(max_size=100).map(lambda data: base64.b64encode(data).decode()),
}

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@cache
def values(shape_name: str) -> st.SearchStrategy[Any]:
    """Valid JSON values of a shape."""
    shape = SHAPES[shape_name]
    if shape.name in _LONG:
        return _LONG[shape.name]
    match shape.kind:
        case Kind.STRUCTURE:
            return structures(shape)
        case Kind.LIST:
            least = shape.minimum or 0
            return st.lists(values(shape.element), min_size=least, max_size=min(shape.maximum or 3, least + 2))
        case Kind.STRING:
            return _strings(shape)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.INTEGER | Kind.LONG:
            return st.integers(shape.minimum, shape.maximum or 2**31 - 1)
        case kind:
            raise AssertionError(kind)


def structures(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Valid JSON objects of a structure."""
    members = {name: values(of) for name, of in shape.members.items()}
    return st.fixed_dictionaries(
        {name: members[name] for name in shape.required},
        optional={name: of for name, of in members.items() if name not in shape.required},
    )


def _strings(shape: Shape) -> st.SearchStrategy[str]:
    if shape.values:
        return st.sampled_from(shape.values)
    least, most = shape.minimum or 0, shape.maximum or 10**9
    if shape.pattern:
        pattern = re.compile(shape.pattern, re.ASCII)
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: least <= len(text) <= most)
    return st.text(min_size=least, max_size=min(most, least + 20))


def replace_somewhere(data: st.DataObject, value: Any) -> Any:
    """The same JSON value with one place in it replaced by another JSON value."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 4)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        copy = value.copy()
        copy[key] = replace_somewhere(data, value[key])
        return copy
    return data.draw(json_values)
