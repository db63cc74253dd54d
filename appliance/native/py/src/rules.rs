//! Rule sets as Python sees them.

use crate::raised;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use vedette_core::prefilter::MatcherKind;
use vedette_core::rule::{self, Options, Variables};

/// A rule that was not loaded.
#[pyclass(frozen, get_all, module = "vedette_engine")]
pub struct Refusal {
    file: String,
    line: u32,
    sid: Option<u32>,
    keyword: String,
    reason: String,
}

/// What an alert's reader needs to know of a loaded rule.
#[pyclass(frozen, get_all, module = "vedette_engine")]
pub struct Rule {
    gid: u32,
    sid: u32,
    rev: u32,
    action: &'static str,
    msg: String,
    /// Short name as the rule has it (`web-application-attack`), empty when it has none.
    classtype: String,
    /// The classtype's description, empty when it has none.
    category: &'static str,
    priority: u8,
    references: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
}

/// A parsed and compiled set of rules; immutable, shared by any number of engines.
#[pyclass(frozen, module = "vedette_engine")]
pub struct RuleSet {
    pub set: Arc<rule::RuleSet>,
    /// Made once: alerts' readers index it again and again.
    rules: PyOnceLock<Py<PyList>>,
}

fn pairs(pairs: &[(Box<str>, Box<str>)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The action's word in a rule.
fn action(action: rule::header::Action) -> &'static str {
    use rule::header::Action;
    match action {
        Action::Alert => "alert",
        Action::Drop => "drop",
        Action::RejectSource => "reject",
        Action::RejectDestination => "rejectdst",
        Action::RejectBoth => "rejectboth",
    }
}

impl Rule {
    fn of(info: &rule::model::RuleInfo) -> Self {
        Self {
            gid: info.gid,
            sid: info.sid,
            rev: info.rev,
            action: action(info.action),
            msg: info.msg.to_string(),
            classtype: info.classtype.to_string(),
            category: info.category,
            priority: info.priority,
            references: pairs(&info.references),
            metadata: pairs(&info.metadata),
        }
    }
}

#[pymethods]
impl RuleSet {
    /// Read rule files (or folders of `*.rules`). A rule that cannot be loaded is refused by name, the rest load.
    #[new]
    #[pyo3(signature = (paths, variables = BTreeMap::new(), *, matcher = None, cache_dir = None))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        variables: BTreeMap<String, String>,
        matcher: Option<&str>,
        cache_dir: Option<PathBuf>,
    ) -> PyResult<Self> {
        let matcher = matcher.map(MatcherKind::parse).transpose().map_err(raised)?;
        let set = py.detach(|| {
            let overrides: Vec<_> = variables.into_iter().collect();
            rule::RuleSet::load(&paths, &Variables::with(&overrides)?, &Options { matcher, cache_dir })
        });
        Ok(Self { set: Arc::new(set.map_err(raised)?), rules: PyOnceLock::new() })
    }

    /// The loaded rules; `Detection.rule` indexes this list.
    #[getter]
    fn rules(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        let list = self.rules.get_or_try_init(py, || {
            let rules = self.set.rules.iter().map(|rule| Py::new(py, Rule::of(&rule.info)));
            PyList::new(py, rules.collect::<PyResult<Vec<_>>>()?).map(Bound::unbind)
        })?;
        Ok(list.clone_ref(py))
    }

    #[getter]
    fn refused(&self) -> Vec<Refusal> {
        let refusal = |refusal: &rule::Refusal| Refusal {
            file: refusal.file.to_string(),
            line: refusal.line,
            sid: refusal.sid,
            keyword: refusal.keyword.clone(),
            reason: refusal.reason.clone(),
        };
        self.set.refused.iter().map(refusal).collect()
    }

    /// SHA-256 (hex) over the loaded rules and variables.
    #[getter]
    fn digest(&self) -> &str {
        &self.set.digest
    }

    #[getter]
    fn matcher(&self) -> &'static str {
        self.set.matcher_name()
    }
}
