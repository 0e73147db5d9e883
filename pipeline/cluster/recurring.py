"""The recurring run of a cluster, from the settings that schedule one machine. No TFX, no TensorFlow."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError


def cluster_settings(settings: Settings) -> ClusterSettings:
    """The cluster's settings, with `schedule.cron` where that is set, in Kubeflow's six fields.

    Raises:
      InputError: `schedule.timezone` is another zone than UTC. Kubeflow's schedules know no zone, and would
        run an hour early or late.
    """
    zone = settings.schedule.timezone
    if not _is_utc(ZoneInfo(zone)):
        raise InputError(
            f"schedule.timezone: '{zone}' cannot be kept: a recurring run of Kubeflow is due in UTC. Set "
            "schedule.timezone=UTC and move schedule.cron, or run `maskline schedule` beside the cluster"
        )
    if not (cron := settings.schedule.cron):
        return settings.cluster
    six = cron if len(cron.split()) == 6 else f"0 {cron}"
    schedule = settings.cluster.schedule.model_copy(update={"cron": six})
    return settings.cluster.model_copy(update={"schedule": schedule})


def _is_utc(zone: ZoneInfo) -> bool:
    """Whether a zone is UTC at every hour of a year; summer time would show."""
    hours = (datetime(2026, month, 1, 12, tzinfo=zone).utcoffset() for month in range(1, 13))
    return all(offset == timedelta() for offset in hours)
