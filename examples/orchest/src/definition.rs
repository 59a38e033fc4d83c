//! The definition of a pipeline, and all that analytics learn of it.
//!
//! A definition is full of what people type: titles, paths, parameters, names of services, references of images.
//! Its summary is made of counts and of words that stand in this file, so nothing of that can get in.
//! Whatever a definition lacks counts as nothing; no definition is too incomplete to be summed up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use tidings::{
    Anonymous,
    analytics::{Count, Extension},
};
use uuid::Uuid;

/// The definition of a pipeline, as its file holds it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct PipelineDefinition {
    /// The name that a person gave it.
    pub name: String,
    /// The parameters of the pipeline.
    pub parameters: Map<String, Value>,
    /// How it is run.
    pub settings: Settings,
    /// The steps, by their uuid.
    pub steps: BTreeMap<Uuid, StepDefinition>,
    /// The services that run beside it, by the names that people gave them.
    pub services: BTreeMap<String, Service>,
}

/// How a pipeline is run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Settings {
    /// Whether what is passed between steps is removed when memory is short.
    pub auto_eviction: bool,
    /// How much memory there is for it, `1GB` for example.
    pub data_passing_memory_size: String,
}

/// A step of a pipeline.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct StepDefinition {
    /// What a person called it.
    pub title: Option<String>,
    /// The file that is run.
    pub file_path: Option<String>,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// The environment that it runs in.
    pub environment: Option<Uuid>,
    /// What runs the file.
    pub kernel: Kernel,
    /// The steps that it waits for.
    pub incoming_connections: Vec<Uuid>,
}

/// What runs the file of a step.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Kernel {
    /// The name of the language, or of a kernel that a person has installed.
    pub name: String,
}

/// A service that runs beside a session.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Service {
    /// The reference of its image.
    pub image: String,
    /// Its command.
    pub command: String,
    /// The arguments of the command.
    pub args: String,
    /// Its environment variables.
    pub env_variables: BTreeMap<String, String>,
    /// The environment variables that it takes over from the project.
    pub env_variables_inherit: Vec<String>,
    /// What it mounts, from inside to outside.
    pub binds: BTreeMap<String, String>,
    /// Whether it can be reached from outside.
    pub exposed: bool,
    /// Whether one has to log in for that.
    pub requires_authentication: bool,
}

/// A language, of a kernel or of an environment.
#[derive(Anonymous, Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Python.
    Python,
    /// R.
    R,
    /// Julia.
    Julia,
    /// JavaScript.
    JavaScript,
    /// Any other.
    #[serde(other)]
    Other,
}

/// What kind of file a step runs.
///
/// A closed list, where [`Extension`] would tell any short word behind a dot.
#[derive(Anonymous, Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum StepFile {
    /// A notebook.
    Ipynb,
    /// Python.
    Py,
    /// R.
    R,
    /// Julia.
    Jl,
    /// JavaScript.
    Js,
    /// A shell script.
    Sh,
    /// Any other file, or none.
    Other,
}

/// What analytics learn of a definition as it is.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
pub struct DefinitionTraits {
    auto_eviction: bool,
}

/// What analytics learn of a definition in numbers.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_field_names, reason = "analytics know the names")]
pub struct DefinitionSummary {
    step_count: usize,
    connection_count: usize,
    unique_environments_count: usize,
    pipeline_parameters_count: Count,
    step_parameters_count: usize,
    step_file_extension_count: BTreeMap<StepFile, usize>,
    kernel_count: BTreeMap<Language, usize>,
    services_count: Count,
    service_binds_count: usize,
}

/// What analytics learn of a service as it is.
#[derive(Anonymous, Clone, Debug, Eq, PartialEq)]
pub struct ServiceTraits {
    exposed: bool,
    requires_authentication: bool,
    binds_count: Count,
}

impl PipelineDefinition {
    /// Returns what may be told as it is.
    #[must_use]
    pub const fn traits(&self) -> DefinitionTraits {
        DefinitionTraits { auto_eviction: self.settings.auto_eviction }
    }

    /// Returns what may be told in numbers.
    #[must_use]
    pub fn summary(&self) -> DefinitionSummary {
        let steps = || self.steps.values();
        let environments: BTreeSet<_> = steps().filter_map(|step| step.environment).collect();
        DefinitionSummary {
            step_count: self.steps.len(),
            connection_count: steps().map(|step| step.incoming_connections.len()).sum(),
            unique_environments_count: environments.len(),
            pipeline_parameters_count: Count::of(&self.parameters),
            step_parameters_count: steps().map(|step| step.parameters.len()).sum(),
            step_file_extension_count: histogram(steps().map(StepDefinition::file)),
            kernel_count: histogram(steps().map(|step| Language::of(&step.kernel.name))),
            services_count: Count::of(&self.services),
            service_binds_count: self.services.values().map(|service| service.binds.len()).sum(),
        }
    }
}

impl StepDefinition {
    fn file(&self) -> StepFile {
        self.file_path.as_deref().map_or(StepFile::Other, StepFile::of)
    }
}

impl StepFile {
    /// Returns the kind of the file at `path`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match Extension::of(path).as_str() {
            "ipynb" => Self::Ipynb,
            "py" => Self::Py,
            "r" => Self::R,
            "jl" => Self::Jl,
            "js" => Self::Js,
            "sh" => Self::Sh,
            _ => Self::Other,
        }
    }
}

impl Language {
    /// Returns the language that is called `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "python" => Self::Python,
            "r" => Self::R,
            "julia" => Self::Julia,
            "javascript" => Self::JavaScript,
            _ => Self::Other,
        }
    }
}

impl Service {
    /// Returns what may be told of `services`, without their names and in the order of what is told.
    #[must_use]
    pub fn traits(services: &BTreeMap<String, Self>) -> Vec<ServiceTraits> {
        let traits = |service: &Self| ServiceTraits {
            exposed: service.exposed,
            requires_authentication: service.requires_authentication,
            binds_count: Count::of(&service.binds),
        };
        let mut traits: Vec<_> = services.values().map(traits).collect();
        traits.sort_by_key(|one| (one.exposed, one.requires_authentication, one.binds_count));
        traits
    }
}

fn histogram<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    keys.fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(json: Value) -> PipelineDefinition {
        serde_json::from_value(json).unwrap()
    }

    fn told(value: &impl Anonymous) -> Value {
        value.to_value().unwrap().into_json()
    }

    #[test]
    fn definition_is_summed_up_in_counts_and_known_words() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let definition = definition(json!({
            "name": "canary", "uuid": one, "version": "1.2.1",
            "parameters": {"canary": "canary"},
            "settings": {"auto_eviction": true, "data_passing_memory_size": "canary"},
            "steps": {
                one.to_string(): {
                    "uuid": one, "title": "canary", "file_path": "canary/canary.ipynb",
                    "environment": one, "kernel": {"name": "python", "display_name": "canary"},
                    "parameters": {"canary": 1, "canary 2": 2}, "incoming_connections": [],
                    "meta_data": {"position": [1, 2], "hidden": false},
                },
                two.to_string(): {
                    "title": "canary", "file_path": "canary.canary", "environment": one,
                    "kernel": {"name": "canary"}, "incoming_connections": [one],
                },
            },
            "services": {"canary": {
                "image": "registry.canary/canary", "command": "canary", "args": "canary",
                "env_variables": {"CANARY": "canary"}, "env_variables_inherit": ["CANARY"],
                "binds": {"/canary": "/canary", "/canary2": "/"}, "exposed": true,
            }},
        }));
        assert_eq!(told(&definition.traits()), json!({"auto_eviction": true}));
        assert_eq!(
            told(&definition.summary()),
            json!({
                "step_count": 2,
                "connection_count": 1,
                "unique_environments_count": 1,
                "pipeline_parameters_count": 1,
                "step_parameters_count": 2,
                "step_file_extension_count": {"ipynb": 1, "other": 1},
                "kernel_count": {"python": 1, "other": 1},
                "services_count": 1,
                "service_binds_count": 2,
            })
        );
        assert_eq!(
            told(&Service::traits(&definition.services)),
            json!([{"exposed": true, "requires_authentication": false, "binds_count": 2}])
        );
    }

    #[test]
    fn what_a_definition_lacks_counts_as_nothing() {
        let step = Uuid::from_u128(1).to_string();
        for json in [json!({}), json!({"steps": {}}), json!({"steps": {step: {}}})] {
            let steps = json["steps"].as_object().map_or(0, Map::len);
            let summary = told(&definition(json).summary());
            assert_eq!(summary["step_count"], steps);
            assert_eq!(summary["unique_environments_count"], 0);
            assert_eq!(summary["step_file_extension_count"].as_object().unwrap().len(), steps);
        }
    }

    #[test]
    fn step_without_title_or_file_is_a_step() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let summary = definition(json!({"steps": {
            one.to_string(): {"file_path": "load.py"},
            two.to_string(): {"title": null, "file_path": null},
        }}))
        .summary();
        assert_eq!(summary.step_count, 2);
        assert_eq!(
            summary.step_file_extension_count,
            BTreeMap::from([(StepFile::Py, 1), (StepFile::Other, 1)])
        );
    }
}
