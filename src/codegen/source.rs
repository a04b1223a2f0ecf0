//! Reading the installed packages.
//!
//! The schemas are JSON files, one per type, with a list per region of the types it
//! has. What is not data there but a list inside the Python package (types whose
//! every property can be read) is asked for through Python. The service
//! specification is one compressed JSON file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use miniz_oxide::inflate::decompress_to_vec;
use serde_json::Value;

use crate::install::{Packages, output};
use crate::{Error, Result};

/// What the packages say, as they say it.
pub struct Source {
    /// The date of the schemas, `YYYY-MM-DD`.
    pub date: String,
    /// The regions about whose types something is known, sorted.
    pub regions: Vec<String>,
    /// The types with their schemas.
    pub types: BTreeMap<String, TypeSource>,
}

/// One type.
pub struct TypeSource {
    /// The provider schema.
    pub schema: Value,
    /// The places in `regions` where the type exists.
    pub regions: BTreeSet<usize>,
    /// What can be read with `Fn::GetAtt`; names may end in `.*`, or be `*`.
    pub attributes: Vec<String>,
    /// The resource in the service specification, if it is there.
    pub spec: Option<Value>,
    /// The named types that the specification gives to the resource, by name.
    pub spec_types: BTreeMap<String, Value>,
}

/// Reads everything.
pub fn read(packages: &Packages) -> Result<Source> {
    let python = Command::new(&packages.python).args(["-c", ASK_PYTHON]).stdout_of()?;
    let asked = parse(&python, Path::new("the answer of python"))?;
    let folder = PathBuf::from(text(&asked, "folder"));
    let date = text(&read_json(&folder.join("version.json"))?, "schema_date");
    let mut providers = BTreeMap::new();
    for file in list(&folder.join("providers"))? {
        let region = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if file.extension().is_some_and(|ending| ending == "json") && region != "sam" {
            providers.insert(region, read_json(&file)?);
        }
    }
    // For isolated partitions the package repeats the list of the home region: that
    // is no knowledge, so they are not counted as regions.
    let home = providers.get(HOME_REGION).cloned().unwrap_or_default();
    let known = |(region, types): &(&String, &Value)| *region == HOME_REGION || **types != home;
    let regions: Vec<String> =
        providers.iter().filter(known).map(|(name, _)| name.clone()).collect();

    let mut types: BTreeMap<String, TypeSource> = BTreeMap::new();
    let mut spec = read_spec(&packages.service_spec.join("db.json.gz"))?;
    for (place, region) in regions.iter().enumerate() {
        for (name, hash) in providers[region].as_object().into_iter().flatten() {
            if let Some(known) = types.get_mut(name) {
                known.regions.insert(place);
                continue;
            }
            let file = folder.join(format!("resources/{}.json", hash.as_str().unwrap_or_default()));
            let (spec, spec_types) = spec.remove(name).unzip();
            let found = TypeSource {
                schema: read_json(&file)?,
                regions: BTreeSet::from([place]),
                attributes: strings(&asked["attributes"][name]),
                spec,
                spec_types: spec_types.unwrap_or_default(),
            };
            types.insert(name.clone(), found);
        }
    }
    let date = date.chars().take("2000-01-01".len()).collect();
    Ok(Source { date, regions, types })
}

/// Lists the texts in a JSON array.
pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

type Spec = BTreeMap<String, (Value, BTreeMap<String, Value>)>;

fn read_spec(path: &Path) -> Result<Spec> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let damaged = || Error::Content { path: path.to_owned(), reason: "not gzip".to_owned() };
    let deflated = gzip_body(&bytes).ok_or_else(damaged)?;
    let database = parse(&decompress_to_vec(deflated).map_err(|_| damaged())?, path)?;
    let database = &database["schema"];
    let definitions: BTreeMap<&str, &Value> = database["typeDefinition"]["entities"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entity| Some((entity["$id"].as_str()?, entity)))
        .collect();
    let mut spec = Spec::new();
    for resource in database["resource"]["entities"].as_array().into_iter().flatten() {
        let id = resource["$id"].as_str().unwrap_or_default();
        let mut types = BTreeMap::new();
        for link in database["usesType"]["forward"][id].as_array().into_iter().flatten() {
            let target = link["$id"].as_str().or(link.as_str()).unwrap_or_default();
            if let Some(definition) = definitions.get(target) {
                types.insert(text(definition, "name"), (*definition).clone());
            }
        }
        spec.insert(text(resource, "cloudFormationType"), (resource.clone(), types));
    }
    Ok(spec)
}

/// Finds the deflated bytes inside a gzip file without optional parts but a name.
fn gzip_body(bytes: &[u8]) -> Option<&[u8]> {
    const NAMED: u8 = 8;
    let (head, rest) = bytes.split_at_checked(10)?;
    match head {
        [0x1f, 0x8b, 8, 0, ..] => Some(rest),
        [0x1f, 0x8b, 8, NAMED, ..] => {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest.get(end + 1..)
        }
        _ => None,
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    parse(&bytes, path)
}

fn parse(bytes: &[u8], path: &Path) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Content { path: path.to_owned(), reason: error.to_string() })
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    Ok(files)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

trait StdoutOf {
    fn stdout_of(&mut self) -> Result<Vec<u8>>;
}

impl StdoutOf for Command {
    fn stdout_of(&mut self) -> Result<Vec<u8>> {
        output(self)
    }
}

const HOME_REGION: &str = "us-east-1";

/// Asks the Python package where its schemas are and which attributes it accepts. It
/// knows them as regular expressions, of which only `.*` is ever used; what lies
/// inside a list's items cannot be read and is left out.
const ASK_PYTHON: &str = r#"
import glob, json, os
import cfnlint.data.schemas as data
from cfnlint.schema import Schema
folder = os.path.dirname(data.__file__)
attributes = {}
for path in glob.glob(os.path.join(folder, "resources", "*.json")):
    with open(path) as file:
        schema = Schema(json.load(file))
    names = [name.replace("\\..*", ".*") if name != ".*" else "*" for name in schema.get_atts.data]
    attributes[schema.type_name] = sorted(name for name in names if ".*." not in name)
print(json.dumps({"folder": folder, "attributes": attributes}))
"#;
