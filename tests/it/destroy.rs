//! `iotstack destroy`: questions, consent and exit codes, against canned answers.

use crate::aws::Stack;
use crate::project::{Project, topics};

fn project() -> Project {
    Project::with_stacks(&[("Fleet", topics(&["Alarms"]))])
}

fn deployed() -> Stack {
    Stack {
        status: "CREATE_COMPLETE".into(),
        template: topics(&["Alarms"]).to_string(),
        ..Stack::new()
    }
}

#[test]
fn nothing_is_destroyed_without_a_yes() {
    let aws = deployed().serve();
    let run = project().run_with(["destroy"], &aws.variables());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.ends_with(
            "Fleet (aws://123456789012/eu-central-1): 1 resource will be deleted\n\
             error: `Fleet` would be destroyed, and there is no terminal to ask at\n\
             hint: `--force` destroys without asking\n"
        ),
        "{run:?}"
    );
    assert!(!aws.asked().contains(&"DeleteStack".to_owned()));
}

#[test]
fn force_destroys() {
    let aws = deployed().serve();
    let run = project().run_with(["destroy", "--force"], &aws.variables());
    run.success();
    assert!(run.err.contains("Fleet: destroyed\n"), "{run:?}");
    assert!(aws.asked().contains(&"DeleteStack".to_owned()));
}

#[test]
fn a_stack_that_does_not_exist_is_no_error() {
    let aws = Stack::new().serve();
    let run = project().run_with(["destroy"], &aws.variables());
    run.success();
    assert_eq!(run.err, "Fleet: there is nothing to destroy\n");
}

#[test]
fn emptying_and_keeping_buckets_exclude_each_other() {
    let run = project().run(["destroy", "--empty-buckets", "--keep-buckets"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("cannot be used with '--keep-buckets'"), "{run:?}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_at_a_question_ends_the_program_at_once() {
    let aws = deployed().serve();
    // A terminal of its own, on which Ctrl-C is pressed as soon as the question stands there.
    let terminal = "import os, pty, signal, sys\n\
        signal.alarm(60)\n\
        child, terminal = pty.fork()\n\
        if child == 0:\n    os.execvp(sys.argv[1], sys.argv[1:])\n\
        seen = b''\n\
        while b'(y/n)' not in seen:\n    seen += os.read(terminal, 1024)\n\
        os.write(terminal, b'\\x03')\n\
        while True:\n    \
            try:\n        seen += os.read(terminal, 1024)\n    \
            except OSError:\n        break\n\
        print(seen.decode())\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n";
    let run = project()
        .file("terminal.py", terminal)
        .shell_with("python3 terminal.py \"$IOTSTACK\" destroy", &aws.variables());
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.out.contains("stopped by Ctrl-C"), "{run:?}");
}
