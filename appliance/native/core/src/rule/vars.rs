//! Rule variables (`$HOME_NET`, `$HTTP_PORTS` ...): the defaults of Suricata's configuration file and what the caller sets.
//!
//! A variable is text until a header uses it; whether it names addresses or ports is decided there.

use super::address::AddressSet;
use super::ports::PortSet;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// The variables and values that Suricata's own `suricata.yaml` carries.
const DEFAULTS: &[(&str, &str)] = &[
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
    ("SIP_PORTS", "[5060,5061]"),
];

/// The values in force.
#[derive(Debug, Clone)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Default for Variables {
    fn default() -> Self {
        Self { values: DEFAULTS.iter().map(|&(name, value)| (name.into(), value.into())).collect() }
    }
}

impl Variables {
    /// The defaults with `overrides` laid over them; names may be given with or without their `$`.
    ///
    /// # Errors
    /// [`Error::Setting`] when a name is no identifier, or a value reads neither as addresses nor as ports.
    pub fn with(overrides: &[(String, String)]) -> Result<Self> {
        let mut variables = Self::default();
        for (name, value) in overrides {
            let name = name.trim().trim_start_matches('$');
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(setting(
                    name,
                    format!("`{name}` is no variable name; allowed are letters, digits and '_'"),
                ));
            }
            variables.values.insert(name.to_owned(), value.trim().to_owned());
        }
        // What the caller set comes first, so that an error names it and not a default made from it.
        let given = overrides.iter().map(|(name, _)| name.trim().trim_start_matches('$'));
        for name in given.chain(DEFAULTS.iter().map(|&(name, _)| name)) {
            let value = &variables.values[name];
            if let Err(address) = AddressSet::parse(value, &variables) {
                if PortSet::parse(value, &variables).is_err() {
                    return Err(setting(name, format!("{address}; allowed are address lists or port lists")));
                }
            }
        }
        Ok(variables)
    }

    /// The text of a variable.
    ///
    /// # Errors
    /// It is not set.
    pub fn get(&self, name: &str) -> std::result::Result<&str, String> {
        self.values.get(name).map(String::as_str).ok_or_else(|| format!("variable ${name} is not set"))
    }

    /// All of them, in the order of their names (for digests).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn setting(name: &str, reason: String) -> Error {
    Error::Setting { name: format!("rule variable {name}"), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<Variables> {
        Variables::with(&[(name.into(), value.into())])
    }

    #[test]
    fn a_value_that_is_neither_addresses_nor_ports_is_refused_by_name() {
        assert!(set("HOME_NET", "10.0.0.0/8").is_ok());
        assert!(set("$MY_PORTS", "[80,8080:8090]").is_ok());
        for (name, value) in
            [("HOME_NET", "ten"), ("HOME_NET", "$HOME_NET"), ("HOME_NET", "any"), ("A B", "any"), ("X", "")]
        {
            let error = set(name, value).unwrap_err().to_string();
            assert!(error.contains("rule variable"), "{error}");
            assert!(value == "any" || error.contains(name), "{error}");
        }
    }
}
