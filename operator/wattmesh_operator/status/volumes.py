"""Why a volume has another size than it shall have, as Kubernetes tells of its claim."""

from __future__ import annotations

from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.desired.settings import number_of
from wattmesh_operator.desired.storage import WantedVolume, class_of, size_of
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.status.trouble import Trouble, refused

_NOT_EXPANDABLE = "must support resize"
_FAILED = ("ControllerResizeError", "NodeResizeError")


def expansion_refused(claim: Object, wanted: WantedVolume, message: str) -> Trouble:
    """What the API server said when it would not let the claim grow."""
    asked = f"the volume has {size_of(claim)}, {wanted.size} is asked for"
    if _NOT_EXPANDABLE in message:
        name = class_of(claim)
        named = f"its storage class {name}" if name else "its storage class"
        back = f", or spec.pod.storage to {size_of(claim)}" if wanted.own else ""
        what = f"{asked}, and {named} does not expand volumes; set allowVolumeExpansion: true there{back}"
        return Trouble(Reason.VOLUME_NOT_EXPANDABLE, what)
    found = refused(f"{asked}, and the API server refuses it: {message}")
    reason = found.reason if found.reason is Reason.QUOTA_EXCEEDED else Reason.VOLUME_EXPANSION_FAILED
    return Trouble(reason, found.message)


def size_differs(claim: Object, wanted: WantedVolume) -> Trouble | None:
    """Why the volume of a claim has not the size that is wanted; None if it has, or has a size nobody has asked for."""
    asked = size_of(claim)
    if wanted.is_smaller_than(claim):
        remedy = f"set spec.pod.storage to {asked} or more"
        return Trouble(
            Reason.VOLUME_SHRINK_REFUSED, f"the volume has {asked} and cannot shrink to {wanted.size}; {remedy}"
        )
    status = claim.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    if has is None or number_of(has) >= number_of(asked):
        return None
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    if failed := next((conditions[kind] for kind in _FAILED if kind in conditions), None):
        why = failed.get("message") or failed["type"]
        return Trouble(
            Reason.VOLUME_EXPANSION_FAILED,
            refused(f"the volume has {has} and does not grow to {asked}: {why}").message,
        )
    restart = "; its file system does so when the pod is restarted" if "FileSystemResizePending" in conditions else ""
    return Trouble(Reason.VOLUME_EXPANDING, f"the volume grows from {has} to {asked}{restart}")
