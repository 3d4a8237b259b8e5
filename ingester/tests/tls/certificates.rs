//! Certificates, as an operator would make them.

use std::{fs, path::Path, process::Command};

fn openssl(directory: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .current_dir(directory)
        .args(arguments.split(' '))
        .output()
        .expect("openssl makes the test's certificates");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Makes an authority `NAME.pem`.
pub(crate) fn authority(directory: &Path, name: &str) {
    openssl(
        directory,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ),
    );
}

/// Makes a key `NAME.key` and a certificate `NAME.crt` of an authority that has this alternative
/// name.
pub(crate) fn certificate(directory: &Path, ca: &str, name: &str, san: &str) {
    fs::write(directory.join("extensions"), format!("subjectAltName={san}\n")).unwrap();
    openssl(
        directory,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
             -keyout {name}.key -out {name}.csr"
        ),
    );
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 \
             -extfile extensions -out {name}.crt"
        ),
    );
}
