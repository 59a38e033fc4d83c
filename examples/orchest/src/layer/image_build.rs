//! Builds of images: of environments, and of the notebook server.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Anonymous, Layer};
use uuid::Uuid;

use crate::definition::Language;

/// Base images begin with it if they are ours.
const OWN_IMAGES: &str = "orchest/";

/// A build of an image.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "image_build")]
pub struct ImageBuild {
    /// The number of the image; each build has the next.
    #[telemetry]
    pub image_tag: u32,
    /// How far it has come.
    #[serde(skip)]
    #[telemetry(derived = "waiting_ms", with = BuildTimes::waiting)]
    #[telemetry(derived = "building_ms", with = BuildTimes::building)]
    pub times: BuildTimes,
}

/// When a build was asked for, has begun and has ended.
#[derive(Clone, Copy, Debug)]
pub struct BuildTimes {
    /// When somebody asked for it.
    pub requested: DateTime<Utc>,
    /// When it has begun.
    pub started: Option<DateTime<Utc>>,
    /// When it has ended, in whichever way.
    pub finished: Option<DateTime<Utc>>,
}

/// A build that was asked for, of an environment.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "image_build")]
pub struct EnvironmentImageBuild {
    /// The build.
    #[serde(flatten)]
    pub build: ImageBuild,
    /// What is built.
    #[serde(skip)]
    #[telemetry(with = EnvironmentTraits::of)]
    pub environment: EnvironmentProperties,
}

/// What an environment is made of.
#[derive(Clone, Debug)]
pub struct EnvironmentProperties {
    /// The language of its kernel.
    pub language: Language,
    /// Whether it can use a graphics card.
    pub gpu_support: bool,
    /// The reference of the image that it is built upon.
    pub base_image: String,
}

/// What analytics learn of an environment.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
pub struct EnvironmentTraits {
    language: Language,
    gpu_support: bool,
    uses_orchest_base_image: bool,
}

/// Whatever belongs to the notebook server.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "jupyter")]
pub struct Jupyter {}

/// A build of the notebook server's image.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "image_build", id = uuid)]
pub struct JupyterImageBuild {
    /// Which one it is.
    #[telemetry(hashed)]
    pub uuid: Uuid,
    /// The build.
    #[serde(flatten)]
    pub build: ImageBuild,
}

impl BuildTimes {
    /// Returns how long it has waited, once it has begun.
    #[must_use]
    pub fn waiting(&self) -> Option<Duration> {
        (self.started? - self.requested).to_std().ok()
    }

    /// Returns how long it has taken, once it has ended.
    #[must_use]
    pub fn building(&self) -> Option<Duration> {
        (self.finished? - self.started?).to_std().ok()
    }
}

impl EnvironmentTraits {
    /// Returns what may be told of `properties`.
    #[must_use]
    pub fn of(properties: &EnvironmentProperties) -> Self {
        Self {
            language: properties.language,
            gpu_support: properties.gpu_support,
            uses_orchest_base_image: properties.base_image.starts_with(OWN_IMAGES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_that_has_not_begun_has_taken_no_time() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let times = |started: Option<i64>, finished: Option<i64>| BuildTimes {
            requested: at(10),
            started: started.map(at),
            finished: finished.map(at),
        };
        for (times, waiting, building) in [
            (times(None, None), None, None),
            (times(Some(13), None), Some(3), None),
            (times(Some(13), Some(20)), Some(3), Some(7)),
            // Cancelled before it began.
            (times(None, Some(20)), None, None),
            // A clock that was set back.
            (times(Some(5), Some(4)), None, None),
        ] {
            assert_eq!(times.waiting(), waiting.map(Duration::from_secs));
            assert_eq!(times.building(), building.map(Duration::from_secs));
        }
    }
}
