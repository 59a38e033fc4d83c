//! Where a person can look at it.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::Layer;
use url::Url;
use uuid::Uuid;

/// Where this installation is reached.
#[derive(Clone, Debug, Default)]
pub struct Site {
    base: Option<Url>,
}

/// Where a person can look at it; it joins the layer that has a page of its own.
#[derive(Clone, Debug, Layer, Serialize, JsonSchema)]
#[layer(name = "link")]
pub struct Link {
    /// The path and the query, the same in every installation.
    pub url_path: String,
    /// The whole address, where the installation knows its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Site {
    /// Returns a site whose pages lie below `base`.
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base: Some(base) }
    }

    /// Returns the page of a pipeline.
    #[must_use]
    pub fn pipeline(&self, project: Uuid, pipeline: Uuid) -> Link {
        self.link(format!("/pipeline?project_uuid={project}&pipeline_uuid={pipeline}"))
    }

    /// Returns the page of an environment.
    #[must_use]
    pub fn environment(&self, project: Uuid, environment: Uuid) -> Link {
        self.link(format!("/environment?project_uuid={project}&environment_uuid={environment}"))
    }

    /// Returns the page of a job.
    #[must_use]
    pub fn job(&self, project: Uuid, job: Uuid) -> Link {
        self.link(format!("/job?project_uuid={project}&job_uuid={job}"))
    }

    /// Returns the page of a run of a job's pipeline.
    #[must_use]
    pub fn job_run(&self, project: Uuid, job: Uuid, run: Uuid) -> Link {
        self.link(format!("/job-run?project_uuid={project}&job_uuid={job}&run_uuid={run}"))
    }

    fn link(&self, url_path: String) -> Link {
        let whole = |base: &Url| format!("{}{url_path}", base.as_str().trim_end_matches('/'));
        Link { url: self.base.as_ref().map(whole), url_path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_whole_where_the_site_knows_its_own() {
        let (project, job) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let path = format!("/job?project_uuid={project}&job_uuid={job}");
        for (base, expected) in [
            (None, None),
            (Some("https://orchest.example"), Some("https://orchest.example")),
            (Some("https://example.org/orchest/"), Some("https://example.org/orchest")),
        ] {
            let site = base.map_or_else(Site::default, |base| Site::new(base.parse().unwrap()));
            let link = site.job(project, job);
            assert_eq!(link.url_path, path);
            assert_eq!(link.url, expected.map(|base| format!("{base}{path}")));
        }
    }
}
