"""What requests are about beyond the resource: the condition keys that operations bring along."""

from collections.abc import Iterable

from moorage.domain.digest import Digest
from moorage.domain.names import Tag
from moorage.services.access import About
from moorage.services.image_ids import ImageId


def of_tags(pairs: Iterable[tuple[str, str]]) -> About:
    """Resource tags that a request gives: ``aws:RequestTag/…`` and ``aws:TagKeys``."""
    given = dict(pairs)
    about: dict[str, tuple[str, ...]] = {}
    for key, value in given.items():
        name = f"aws:requesttag/{key.lower()}"
        about[name] = (*about.get(name, ()), value)
    return {**about, **of_tag_keys(given)}


def of_tag_keys(keys: Iterable[str]) -> About:
    """The keys of resource tags that a request is about."""
    return {"aws:tagkeys": tuple(keys)}


def of_setting(name: str) -> About:
    """The account setting that a request is about."""
    return {"ecr:accountsetting": (name,)}


def of_image(tag: str | None, digest: str | None) -> About:
    """The image that a request names, by what is known of it; beyond ECR, so that tags can be guarded."""
    about: dict[str, tuple[str, ...]] = {}
    if tag is not None:
        about["ecr:imagetag"] = (tag,)
    if digest is not None:
        about["ecr:imagedigest"] = (digest,)
    return about


def of_reference(reference: Digest | Tag, digest: str | None = None) -> About:
    """The image of a tag or digest; ``digest`` is what the tag turned out to point to."""
    if isinstance(reference, Digest):
        return {"ecr:imagedigest": (str(reference),)}
    return of_image(reference, digest)


def of_image_ids(ids: Iterable[ImageId]) -> list[About]:
    """Each of the images that a request names."""
    return [of_image(one.tag, one.digest) for one in ids]
