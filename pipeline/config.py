"""The names of earlier versions, until nothing uses them: see `maskline.pipeline.settings`."""

from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.sections import BeamSettings, DataSettings, Settings

BeamConfig = BeamSettings
Config = Settings
DataConfig = DataSettings

__all__ = ["BeamConfig", "Config", "DataConfig", "load"]
