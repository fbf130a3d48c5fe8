"""Why a condition is as it is, each as one word for programs."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reasons of all conditions."""

    # A resource cannot be made real.
    INVALID_SPEC = "InvalidSpec"
    NAME_NOT_ALLOWED = "NameNotAllowed"
    GATEWAY_AMBIGUOUS = "GatewayAmbiguous"
    GATEWAY_NOT_FOUND = "GatewayNotFound"
    GATEWAY_INVALID = "GatewayInvalid"
    UTILITY_AMBIGUOUS = "UtilityAmbiguous"
    UTILITY_NOT_FOUND = "UtilityNotFound"
    UTILITY_ELSEWHERE = "UtilityElsewhere"
    UTILITY_INVALID = "UtilityInvalid"

    # Ready
    READY = "Ready"
    POD_FAILED = "PodFailed"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    CONTAINER_CONFIG = "CreateContainerConfigError"
    UNSCHEDULABLE = "Unschedulable"
    FAILED_MOUNT = "FailedMount"
    QUOTA_EXCEEDED = "QuotaExceeded"
    OBJECT_TOO_LARGE = "ObjectTooLarge"
    POD_NOT_READY = "PodNotReady"
    POD_UNREACHABLE = "PodUnreachable"
    BOOKS_AHEAD = "BooksAhead"
    FORMER_LEAVING = "FormerLeaving"

    # Registered, and Ready for want of it
    REGISTERED = "Registered"
    NOT_REGISTERED = "NotRegistered"
    KEYS_RETIRING = "KeysRetiring"

    # LedgerLost
    LEDGER_LOST = "LedgerLost"

    # VolumeSizeDiffers
    VOLUME_EXPANDING = "VolumeExpanding"
    VOLUME_EXPANSION_FAILED = "VolumeExpansionFailed"
    VOLUME_NOT_EXPANDABLE = "VolumeNotExpandable"
    VOLUME_SHRINK_REFUSED = "VolumeShrinkRefused"

    # Progressing
    DRAINING = "Draining"
    ROLLOUT_HALTED = "RolloutHalted"
    ROLLING_OUT = "RollingOut"
    ROTATING_KEYS = "RotatingKeys"
    PAUSED = "Paused"
    UP_TO_DATE = "UpToDate"


FAILURES = frozenset(
    {
        Reason.POD_FAILED,
        Reason.IMAGE_PULL_BACK_OFF,
        Reason.CRASH_LOOP_BACK_OFF,
        Reason.CONTAINER_CONFIG,
        Reason.UNSCHEDULABLE,
        Reason.FAILED_MOUNT,
        Reason.QUOTA_EXCEEDED,
        Reason.OBJECT_TOO_LARGE,
    }
)
"""Why a pod does not come up by itself."""
