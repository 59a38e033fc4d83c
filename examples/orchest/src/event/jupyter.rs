//! What happens to the builds of the notebook server's image, which belongs to no project.
//!
//! Each is registered when the status of a build has changed, and not when it was merely reported again.

use crate::{
    declare::events,
    layer::{Jupyter, JupyterImageBuild},
};

events! {
    { jupyter: Jupyter, image_build: JupyterImageBuild }
    [ordering_key = image_build] => {
        /// A build of the notebook server's image has been asked for.
        JupyterImageBuildCreated = "jupyter:image-build:created";

        /// A build of the notebook server's image has begun.
        JupyterImageBuildStarted = "jupyter:image-build:started";

        /// Somebody has cancelled a build of the notebook server's image.
        JupyterImageBuildCancelled = "jupyter:image-build:cancelled";

        /// A build of the notebook server's image has failed.
        JupyterImageBuildFailed = "jupyter:image-build:failed";

        /// The notebook server has a new image.
        JupyterImageBuildSucceeded = "jupyter:image-build:succeeded";
    }
}
