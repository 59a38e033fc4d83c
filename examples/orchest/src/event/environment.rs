//! What happens to the environments of a project, and to the builds of their images.

use crate::{
    declare::events,
    layer::{Environment, EnvironmentImageBuild, ImageBuild, Project},
};

events! {
    { project: Project, environment: Environment }
    [scope(project, environment), ordering_key = environment] => {
        /// An environment has been added to a project.
        EnvironmentCreated = "project:environment:created";

        /// An environment has been removed from a project.
        EnvironmentDeleted = "project:environment:deleted";
    }

    { project: Project, environment: Environment, image_build: EnvironmentImageBuild }
    [scope(project, environment), ordering_key = environment] => {
        /// A build of an environment's image has been asked for.
        EnvironmentImageBuildCreated = "project:environment:image-build:created";
    }

    { project: Project, environment: Environment, image_build: ImageBuild }
    [scope(project, environment), ordering_key = environment] => {
        /// A build of an environment's image has begun.
        EnvironmentImageBuildStarted = "project:environment:image-build:started";

        /// Somebody has cancelled a build of an environment's image.
        EnvironmentImageBuildCancelled = "project:environment:image-build:cancelled";

        /// A build of an environment's image has failed.
        EnvironmentImageBuildFailed = "project:environment:image-build:failed";

        /// An environment has a new image.
        EnvironmentImageBuildSucceeded = "project:environment:image-build:succeeded";
    }
}
