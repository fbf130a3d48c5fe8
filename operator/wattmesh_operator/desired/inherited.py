"""Labels and annotations of a resource that its pods have, too.

They are set on the pods that run, not in the template of their Deployments, which would restart every pod for each
label that somebody adds. A pod has them from a moment after it was made; what must be there from the start is in
`spec.pod`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wattmesh_operator.cluster.objects import POD, Object, annotations_of, labels_of, name_of, namespace_of, uid_of
from wattmesh_operator.desired.manifest import digest
from wattmesh_operator.desired.names import FILES, INHERITED
from wattmesh_operator.resources.pod_template import PodTemplate

_OF_TOOLS = re.compile(
    r"(.*\.)?(kubernetes\.io|k8s\.io|wattmesh\.io|argoproj\.io|fluxcd\.io|helm\.sh|cattle\.io|k14s\.io)/.*"
    r"|pod-template-hash|controller-revision-hash"
)
"""Keys of Kubernetes, of the operator, and by which deployment tools note what they have applied, and ReplicaSets."""


def inherited(owner: Object) -> tuple[dict[str, str], dict[str, str]]:
    """The labels and the annotations of a resource that are for its pods as well."""
    return _sensible(labels_of(owner)), _sensible(annotations_of(owner))


def pod_metadata(owner: Object, template: PodTemplate, pod: Object, follows: str = "") -> Object | None:
    """What to apply to a pod of the resource; None while it has never had, and shall not have, anything of it.

    What `spec.pod` sets is left to it. What was applied before and is left out now goes from the pod. `follows` is the
    hash of the configuration that it follows, if any.
    """
    labels, annotations = inherited(owner)
    labels = {key: value for key, value in labels.items() if key not in template.labels}
    annotations = {key: value for key, value in annotations.items() if key not in template.annotations}
    if follows:
        annotations[FILES] = follows
    if labels or annotations:
        # The hash tells of what is left out now.
        annotations[INHERITED] = digest([labels, annotations])
    elif INHERITED not in annotations_of(pod):
        return None
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {
            "name": name_of(pod),
            "namespace": namespace_of(pod),
            # So that no other pod of this name, and no new one, is meant.
            "uid": uid_of(pod),
            "labels": labels,
            "annotations": annotations,
        },
    }


def is_applied(manifest: Object, pod: Object) -> bool:
    """Whether a pod has what its resource says, and nothing that it said before."""
    has, wanted = annotations_of(pod), annotations_of(manifest)
    return (
        labels_of(pod).items() >= labels_of(manifest).items()
        and has.items() >= wanted.items()
        and (INHERITED in has) == (INHERITED in wanted)
    )


def _sensible(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if not _OF_TOOLS.fullmatch(key)}
