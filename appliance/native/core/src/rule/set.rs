//! Rule files into a [`RuleSet`]: parsed, ordered, compiled; what could not be loaded is listed by name.
//!
//! This is the one place of `rule` that reads files. A set never changes after it is loaded; engines share it.

use super::draft::Shared;
use super::header::EndTables;
use super::keyword::flowbits::{FlowBit, Names};
use super::model::Rule;
use super::parse::{self, Reason};
use super::plan::Plan;
use super::text::{logical_lines, MAX_LINE_BYTES};
use super::vars::Variables;
use crate::error::{Error, Result};
use crate::prefilter::MatcherKind;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest rule file; the largest published sets have about 40 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A rule that was not loaded.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The file.
    pub file: Arc<str>,
    /// Line where the rule begins, from 1.
    pub line: u32,
    /// Its sid where it could be read.
    pub sid: Option<u32>,
    /// The keyword, or the part of the rule.
    pub keyword: String,
    /// What came and what was allowed.
    pub reason: String,
}

/// How a set is compiled.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which matcher; `None` takes the fastest one that this build and machine have.
    pub matcher: Option<MatcherKind>,
    /// Folder for compiled pattern databases; `None` compiles each time.
    pub cache_dir: Option<PathBuf>,
}

/// A parsed and compiled set of rules.
#[derive(Debug)]
pub struct RuleSet {
    /// The loaded rules in the order in which they are judged; alerts name them by index.
    pub rules: Vec<Rule>,
    /// What was not loaded, in the order of the files.
    pub refused: Vec<Refusal>,
    /// SHA-256 (hexadecimal) over the loaded rules' text and the variables.
    pub digest: String,
    /// Names of the flow bits.
    pub bits: Names,
    /// Address and port sets that the rules' headers name.
    pub ends: EndTables,
    /// The compiled plan.
    pub plan: Plan,
}

struct Loaded {
    rule: Rule,
    /// SHA-256 of its text: all that the set's digest needs.
    digest: [u8; 32],
    file: Arc<str>,
    line: u32,
}

impl RuleSet {
    /// Reads rule files, or folders of `*.rules` files.
    ///
    /// # Errors
    /// A path cannot be read, or the matcher fails. A rule that is wrong is no error: it is refused by name.
    pub fn load(paths: &[PathBuf], variables: &Variables, options: &Options) -> Result<Self> {
        let mut reader = Reader::default();
        for path in paths {
            for file in files_of(path)? {
                // One file at a time: a set's text is several times as large as what is kept of it.
                let bytes = read_bounded(&file).map_err(|source| Error::File { path: file.clone(), source })?;
                reader.read(&file.display().to_string(), &bytes, variables);
            }
        }
        reader.finish(variables, options)
    }

    /// The same from texts in memory, each with the name to show.
    ///
    /// # Errors
    /// The matcher fails.
    pub fn from_texts<'t>(
        texts: impl IntoIterator<Item = (&'t str, &'t [u8])>,
        variables: &Variables,
        options: &Options,
    ) -> Result<Self> {
        let mut reader = Reader::default();
        for (name, bytes) in texts {
            reader.read(name, bytes, variables);
        }
        reader.finish(variables, options)
    }

    /// Name of the matcher that serves this set.
    pub fn matcher_name(&self) -> &'static str {
        self.plan.matcher.name()
    }
}

/// A set while its files are read.
#[derive(Default)]
struct Reader {
    ends: EndTables,
    shared: Shared,
    loaded: Vec<Loaded>,
    refused: Vec<Refusal>,
    by_sid: HashMap<(u32, u32), usize>,
}

impl Reader {
    fn read(&mut self, name: &str, bytes: &[u8], variables: &Variables) {
        let file: Arc<str> = name.into();
        for line in logical_lines(bytes) {
            if line.text.len() > MAX_LINE_BYTES {
                let reason = format!("{} bytes came; allowed are {MAX_LINE_BYTES}", line.text.len());
                let reason = Reason { sid: None, keyword: "line".into(), reason };
                self.refused.push(refusal(&file, line.number, reason));
                continue;
            }
            match parse::rule(&line.text, variables, &mut self.ends, &mut self.shared) {
                Ok(rule) => {
                    let digest = Sha256::digest(&line.text).into();
                    self.add(Loaded { rule, digest, file: Arc::clone(&file), line: line.number });
                }
                Err(reason) => self.refused.push(refusal(&file, line.number, reason)),
            }
        }
    }

    /// Of two rules with one number the higher revision stays, as in Suricata.
    fn add(&mut self, fresh: Loaded) {
        let key = (fresh.rule.info.gid, fresh.rule.info.sid);
        let Some(&at) = self.by_sid.get(&key) else {
            self.by_sid.insert(key, self.loaded.len());
            self.loaded.push(fresh);
            return;
        };
        let newer = fresh.rule.info.rev > self.loaded[at].rule.info.rev;
        let dropped = if newer { std::mem::replace(&mut self.loaded[at], fresh) } else { fresh };
        self.refused.push(duplicate(&self.loaded[at], &dropped));
    }

    fn finish(mut self, variables: &Variables, options: &Options) -> Result<RuleSet> {
        order(&mut self.loaded, self.shared.bits.len());
        let digest = digest(&self.loaded, variables);
        let rules: Vec<Rule> = self.loaded.into_iter().map(|loaded| loaded.rule).collect();
        let plan = Plan::build(&rules, &self.ends, options)?;
        Ok(RuleSet { rules, refused: self.refused, digest, bits: self.shared.bits, ends: self.ends, plan })
    }
}

/// A whole file, if it is no longer than a rule file may be: `/dev/zero` is a file too.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("more than {MAX_FILE_BYTES} bytes came; a rule file may have so many");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::File { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if file.extension().is_some_and(|extension| extension == "rules") && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn refusal(file: &Arc<str>, line: u32, reason: Reason) -> Refusal {
    Refusal { file: Arc::clone(file), line, sid: reason.sid, keyword: reason.keyword, reason: reason.reason }
}

fn duplicate(kept: &Loaded, dropped: &Loaded) -> Refusal {
    let info = &dropped.rule.info;
    Refusal {
        file: Arc::clone(&dropped.file),
        line: dropped.line,
        sid: Some(info.sid),
        keyword: "sid".into(),
        reason: format!(
            "{}:{} stands twice; kept is revision {} in {}:{}, this one is revision {}",
            info.gid, info.sid, kept.rule.info.rev, kept.file, kept.line, info.rev
        ),
    }
}

/// Rules that change a flow bit come before those that test it, then the severe ones first, then by number.
fn order(loaded: &mut [Loaded], bits: usize) {
    /// A longer chain of bits than any real set has; a circle of rules ends here.
    const MAX_LEVEL: u32 = 16;
    let mut level_of_bit = vec![0_u32; bits];
    let level = |rule: &Rule, level_of_bit: &[u32]| {
        let tested = rule.flowbits.iter().flat_map(FlowBit::tested);
        tested.map(|&bit| level_of_bit[bit as usize]).max().unwrap_or(0)
    };
    let with_bits: Vec<usize> = (0..loaded.len()).filter(|&at| !loaded[at].rule.flowbits.is_empty()).collect();
    for _ in 0..MAX_LEVEL {
        let mut settled = true;
        for &at in &with_bits {
            let rule = &loaded[at].rule;
            let behind = (level(rule, &level_of_bit) + 1).min(MAX_LEVEL);
            for bit in rule.flowbits.iter().filter_map(FlowBit::changed) {
                if level_of_bit[bit as usize] < behind {
                    level_of_bit[bit as usize] = behind;
                    settled = false;
                }
            }
        }
        if settled {
            break;
        }
    }
    loaded.sort_by_cached_key(|loaded| {
        let info = &loaded.rule.info;
        let changes = loaded.rule.flowbits.iter().any(|bit| bit.changed().is_some());
        (level(&loaded.rule, &level_of_bit), !changes, info.priority, info.sid, info.gid)
    });
}

fn digest(loaded: &[Loaded], variables: &Variables) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in variables.iter() {
        hasher.update(format!("{name}={value}\n"));
    }
    for rule in loaded {
        hasher.update(rule.digest);
    }
    crate::prefilter::hexadecimal(&hasher.finalize())
}
