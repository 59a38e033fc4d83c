//! What happens to projects.
//!
//! To add an event, see the guide `docs/guides/add-an-event.md`, which adds one here.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Catalogue, Event, catalogue, catalogue::CatalogueError};

use crate::{
    layer::{CountedProject, Project, Update},
    sample::Sample,
};

/// A project has been created.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:created",
    version = 1,
    layers(CountedProject),
    scope(project),
    ordering_key = project
)]
pub struct ProjectCreated {
    /// The project, and how many there are with it.
    pub project: CountedProject,
}

/// A project, its environment variables for example, has been changed.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:updated",
    version = 1,
    layers(Project, Update),
    scope(project),
    ordering_key = project
)]
pub struct ProjectUpdated {
    /// The project, as it is now.
    pub project: Project,
    /// What has changed.
    pub update: Update,
}

/// A project has been deleted, with everything in it.
#[derive(Debug, Event, Serialize, JsonSchema)]
#[event(
    name = "project:deleted",
    version = 1,
    layers(CountedProject),
    scope(project),
    ordering_key = project
)]
pub struct ProjectDeleted {
    /// The project, and how many there are without it.
    pub project: CountedProject,
}

/// Returns the types of this module.
pub(crate) fn catalogue() -> Result<Catalogue, CatalogueError> {
    catalogue![ProjectCreated, ProjectUpdated, ProjectDeleted]
}

/// Returns one event of each type, with `word` in whatever a person could have typed.
pub(crate) fn samples(word: &str) -> Vec<Box<dyn Event>> {
    vec![
        Box::new(ProjectCreated { project: Sample::sample(word) }),
        Box::new(ProjectUpdated { project: Sample::sample(word), update: Sample::sample(word) }),
        Box::new(ProjectDeleted { project: Sample::sample(word) }),
    ]
}
