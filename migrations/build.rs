//! Looks at the migrations again when there is a new one, which the compiler would not notice.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
