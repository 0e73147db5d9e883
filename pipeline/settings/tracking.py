"""Settings of a tracking server, which gets a copy of runs and releases. No secret stands here."""

from typing import Self

from pydantic import model_validator

from maskline.pipeline.settings.notify import url_problem, without_secrets
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown


class TrackingSettings(Section):
    """An MLflow server that gets a copy of what runs measured and released."""

    mlflow: str = setting(
        "",
        "address of an MLflow server, such as `http://mlflow:5000`; empty: none. MLflow's own environment "
        "variables, such as `MLFLOW_TRACKING_TOKEN`, hold the credentials",
        max_length=2000,
    )
    experiment: str = setting(
        "maskline", "MLflow's experiment that the runs belong to", min_length=1, max_length=250
    )
    model: str = setting(
        "maskline", "name of the registered model in MLflow", min_length=1, max_length=250,
        pattern=r"^[^/:']+$",
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_address(self) -> Self:
        if self.mlflow and (problem := url_problem(self.mlflow)):
            if "password" in problem:
                problem = (
                    "holds a password; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are for that"
                )
            raise refusal("mlflow", f"{shown(without_secrets(self.mlflow))} {problem}")
        return self
