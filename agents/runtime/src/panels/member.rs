//! Who sits on a panel, and what for?

use quorate_core::{Error, Result};
use quorate_models::Model;
use serde::{Deserialize, Serialize};

/// What a member is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Votes.
    #[default]
    Expert,
    /// Leads and sums up; does not vote.
    Moderator,
    /// Hears all and remarks on it; does not vote.
    Observer,
}

impl Role {
    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Expert => "expert",
            Role::Moderator => "moderator",
            Role::Observer => "observer",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Role::Expert, Role::Moderator, Role::Observer];
        super::options::read("role", name, &all.map(|role| (role.as_str(), role)))
    }
}

/// A member of a panel.
#[derive(Clone)]
pub struct Member {
    /// The id of an agent of the registry. Without a registry, or with a model of its own, any name.
    pub id: String,
    /// What it is there for.
    pub role: Role,
    /// How much its ballot counts against others, 0 or more. Default 1.
    pub weight: f64,
    /// Who answers for it; `None`: the runtime's model, and without one sentences of the sources.
    pub model: Option<Model>,
}

impl Member {
    /// An expert of weight 1.
    pub fn new(id: impl Into<String>) -> Self {
        Member { id: id.into(), role: Role::Expert, weight: 1.0, model: None }
    }

    /// The same, answered for by `model`.
    pub fn with(id: impl Into<String>, model: Model) -> Self {
        Member { model: Some(model), ..Member::new(id) }
    }

    /// Errors: `invalid_argument`. `what`: where it stands among the options.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        let most = quorate_agents::MAX_ID_BYTES;
        if self.id.trim().is_empty() || self.id.len() > most {
            return Err(Error::invalid(format!("panel: {what} has an id of 0 or over {most} bytes")));
        }
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            let message = format!("panel: the weight of '{}' is {}", self.id, self.weight);
            return Err(Error::invalid(format!("{message}, expected 0 or more")));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.model.as_ref().map(|model| model.id().to_owned());
        f.debug_struct("Member")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("weight", &self.weight)
            .field("model", &model)
            .finish()
    }
}
