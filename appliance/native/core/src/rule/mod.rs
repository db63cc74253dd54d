//! The rule language: text into rules, rules into a plan. Knows nothing of traffic; `detect` judges traffic by the plan.

pub mod address;
pub mod check;
pub mod classtype;
pub mod draft;
pub mod header;
pub mod keyword;
pub mod model;
pub mod parse;
pub mod plan;
pub mod ports;
pub mod rarity;
pub mod regex;
pub mod set;
pub mod text;
pub mod vars;

pub use model::{Rule, RuleInfo};
pub use set::{Options, Refusal, RuleSet};
pub use vars::Variables;
