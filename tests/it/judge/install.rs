//! Installs the judges, once for each set of pins.
//!
//! The Python tools go into a virtual environment made from `requirements.txt`,
//! the Node tools into a `node_modules` made from `package-lock.json`, both in
//! `IOTSTACK_JUDGES_DIR` or else in the target folder, under a hash of the pins:
//! a changed pin installs anew, an unchanged one is found again. Several test
//! processes may start at once; a file lock lets one of them work and the others
//! wait, and a marker written last tells a finished installation from a broken
//! one, which is thrown away.
//!
//! It uses the `python3`, `pip` and `npm` of the machine as they are configured. Mosquitto's
//! clients are unpacked from Debian's packages; Chromium is installed from there, as far as
//! the machine has none.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Prepares a script of the virtual environment, such as `aws`.
pub fn tool(name: &str) -> Command {
    let mut command = python();
    command.arg(Path::new(command.get_program()).with_file_name(name));
    command
}

/// Prepares the interpreter of the virtual environment.
pub fn python() -> Command {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    let folder = VENV.get_or_init(|| {
        once("python", &[REQUIREMENTS], |folder| {
            let venv = folder.join("venv");
            let make = ["-m", "venv"].map(OsStr::new).into_iter().chain([venv.as_os_str()]);
            run("python3", make, folder);
            let pins = folder.join("requirements.txt");
            fs::write(&pins, REQUIREMENTS).unwrap();
            let pip = venv.join("bin/pip");
            // The pins are complete, so nothing has to be resolved; and compiling
            // 500 MB, of which a part is ever run, would double the time.
            let flags = "install --quiet --disable-pip-version-check --no-input --no-deps \
                         --no-compile --requirement";
            let flags = flags.split_whitespace().map(OsStr::new);
            run(&pip, flags.chain([pins.as_os_str()]), folder);
            run(&pip, ["check", "--disable-pip-version-check"].map(OsStr::new), folder);
        })
    });
    // What does run is compiled then, once, and not into our own source folder. By
    // options, because some callers start from an empty environment.
    let mut cache = OsString::from("pycache_prefix=");
    cache.push(folder.join("compiled"));
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.args(["-W", "ignore", "-X"]).arg(cache).env_remove("PYTHONDONTWRITEBYTECODE");
    without_configuration(&mut command);
    command
}

/// Takes whatever the tester has set up for AWS away from a program: variables, and files
/// in the home folder.
pub fn without_configuration(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}

/// Returns the source of a Python package, such as `moto-5.2.5`: its tests are not installed.
pub fn source(name: &str) -> PathBuf {
    static SOURCES: OnceLock<PathBuf> = OnceLock::new();
    let folder = SOURCES.get_or_init(|| {
        let pip = Path::new(python().get_program()).with_file_name("pip");
        once("suites", &[SUITES], |folder| {
            let pins = folder.join("suites.txt");
            fs::write(&pins, SUITES).unwrap();
            // The build of metadata uses what is installed, as the pins are complete.
            let flags = "download --quiet --disable-pip-version-check --no-input --no-deps \
                         --no-binary :all: --no-build-isolation --require-hashes --requirement";
            let flags = flags.split_whitespace().map(OsStr::new);
            run(&pip, flags.chain([pins.as_os_str()]), folder);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension() == Some(OsStr::new("gz")) {
                    run("tar", [OsStr::new("-xzf"), path.as_os_str()], folder);
                }
            }
        })
    });
    folder.join(name)
}

/// Returns the `node_modules` folder with `cdk`, TypeScript and the CDK library.
pub fn node_modules() -> PathBuf {
    static NODE: OnceLock<PathBuf> = OnceLock::new();
    let folder = NODE.get_or_init(|| {
        once("node", &[PACKAGE, PACKAGE_LOCK], |folder| {
            fs::write(folder.join("package.json"), PACKAGE).unwrap();
            fs::write(folder.join("package-lock.json"), PACKAGE_LOCK).unwrap();
            let flags = "ci --no-audit --no-fund --ignore-scripts --loglevel=error";
            run("npm", flags.split(' ').map(OsStr::new), folder);
        })
    });
    folder.join("node_modules")
}

/// Returns Debian's Chromium, which is installed if this machine has none.
///
/// Unlike the others it is the machine's own: it needs its fonts and libraries, and whoever
/// installs it has to be root.
pub fn chromium() -> PathBuf {
    let program = PathBuf::from("/usr/bin/chromium");
    let _alone = alone(&root().join("chromium"));
    if !program.exists() {
        let flags = "-q install --yes --no-install-recommends chromium";
        run("apt-get", flags.split(' ').map(OsStr::new), &root());
    }
    program
}

/// Prepares one of mosquitto's clients, such as `mosquitto_sub`, out of Debian's packages.
///
/// The packages are only unpacked, so nobody has to be root.
pub fn mosquitto(name: &str) -> Command {
    static CLIENTS: OnceLock<PathBuf> = OnceLock::new();
    let folder = CLIENTS.get_or_init(|| {
        once("mosquitto", MOSQUITTO, |folder| {
            run("apt-get", ["-q", "download"].iter().chain(MOSQUITTO).map(OsStr::new), folder);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension() == Some(OsStr::new("deb")) {
                    let unpack = [OsStr::new("-x"), path.as_os_str(), OsStr::new("root")];
                    run("dpkg", unpack, folder);
                }
            }
        })
    });
    let root = folder.join("root/usr");
    let mut command = Command::new(root.join("bin").join(name));
    let libraries = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];
    let libraries: Vec<PathBuf> = libraries.iter().map(|path| root.join(path)).collect();
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap());
    command
}

/// Runs `install` in a folder of its own unless that was done before.
fn once(kind: &str, pins: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    // The name of a cache folder: it has to differ when the pins do, no more.
    let mut hasher = DefaultHasher::new();
    pins.hash(&mut hasher);
    let folder = root().join(format!("{kind}-{:016x}", hasher.finish()));
    let _alone = alone(&folder);
    let finished = folder.join("finished");
    if !finished.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        install(&folder);
        fs::write(finished, "").unwrap();
    }
    folder
}

/// Waits until nobody else installs this. The lock is released when the file is closed,
/// also if this process dies.
fn alone(folder: &Path) -> File {
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

fn root() -> PathBuf {
    let root = match std::env::var_os("IOTSTACK_JUDGES_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("judges"),
    };
    fs::create_dir_all(&root)
        .unwrap_or_else(|error| panic!("cannot create `{}`: {error}", root.display()));
    root
}

fn run<'a>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    folder: &Path,
) {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(
        |error| panic!("cannot start `{}` to install the judges: {error}", program.display()),
    );
    assert!(
        output.status.success(),
        "`{}` could not install the judges ({}):\n{}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Debian keeps one version of each in a release, which is the pin.
const MOSQUITTO: &[&str] = &["libcjson1", "libmosquitto1", "mosquitto-clients"];
const REQUIREMENTS: &str = include_str!("requirements.txt");
const SUITES: &str = include_str!("suites.txt");
const PACKAGE: &str = include_str!("package.json");
const PACKAGE_LOCK: &str = include_str!("package-lock.json");
