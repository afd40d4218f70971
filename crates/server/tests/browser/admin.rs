//! Browsing and editing the tables of images and models.

use diffusion_engine::images::{RgbImage, encode_png};
use serde_json::Value;

use crate::chromium::Browser;
use crate::support::{Data, Server};

const ROWS: &str = "document.querySelectorAll('#rows tr').length";

fn wait_for_rows(browser: &Browser, count: usize) {
    browser.wait(&format!("{ROWS} === {count}"));
}

fn set(browser: &Browser, field: &str, value: &str) {
    browser.eval(&format!("document.getElementById('{field}').value = '{value}'"));
}

fn click(browser: &Browser, id: &str) {
    browser.eval(&format!("document.getElementById('{id}').click()"));
}

#[test]
fn rows_are_found_edited_added_and_removed() {
    let Some(browser) = Browser::start() else { return };
    let server = Server::start(&[]);
    let images = |search: &str| -> Vec<Value> {
        let list = server.get(&format!("/api/v1/images?search={search}")).json();
        list["images"].as_array().unwrap().clone()
    };
    browser.open(&format!("http://{}/admin/", server.address()));
    wait_for_rows(&browser, 17);
    browser.wait("document.querySelector('#rows img').naturalWidth > 0");
    browser.screenshot("admin-images");

    set(&browser, "search", "cat-in");
    browser.eval("document.getElementById('find').requestSubmit()");
    wait_for_rows(&browser, 1);
    browser.eval("document.querySelector('#rows button').click()");
    browser.wait("document.getElementById('row').open");
    set(&browser, "row-description", "a cat that dances");
    set(&browser, "row-meta", "no object");
    browser.eval("document.getElementById('row-form').requestSubmit()");
    browser.wait("document.getElementById('row-error').textContent.includes('no JSON object')");
    browser.screenshot("admin-edit");
    set(&browser, "row-meta", "{\"licence\": \"MIT\"}");
    browser.eval("document.getElementById('row-form').requestSubmit()");
    browser.wait("document.getElementById('said').textContent.endsWith('is saved.')");
    browser.wait("document.querySelector('#rows').innerText.includes('a cat that dances')");
    let [row] = &images("cat-in")[..] else { panic!("one is found") };
    assert_eq!(row["description"], "a cat that dances");
    assert_eq!(row["meta"]["licence"], "MIT");

    // A refusal stands in the dialog, by the field's name.
    browser.eval("document.querySelector('#rows button').click()");
    set(&browser, "row-path", "nowhere/else.png");
    browser.eval("document.getElementById('row-form').requestSubmit()");
    browser.wait("document.getElementById('row-error').textContent.startsWith('Path')");
    click(&browser, "row-remove");
    assert_eq!(images("cat-in").len(), 1, "one click removes nothing");
    click(&browser, "row-remove");
    wait_for_rows(&browser, 0);
    assert_eq!(images("cat-in").len(), 0);

    click(&browser, "add");
    let folder = Data::new();
    let file = folder.path().join("dot.png");
    std::fs::write(&file, encode_png(&RgbImage::new(8, 8), &[]).unwrap()).unwrap();
    browser.choose("#row-file", file.to_str().unwrap());
    set(&browser, "row-owner", "me");
    browser.eval("document.getElementById('row-form').requestSubmit()");
    browser.wait("document.getElementById('said').textContent === 'dot.png is added.'");
    let [row] = &images("dot.png")[..] else { panic!("one is found") };
    assert_eq!((&row["owner"], &row["available"]), (&"me".into(), &true.into()));

    click(&browser, "tab-models");
    browser.wait("document.querySelector('#rows').innerText.includes('pocket-paper-sd1')");
    assert!(browser.eval(ROWS).as_u64() >= Some(1));
    browser.screenshot("admin-models");
    // Of the refusal alone.
    let [complaint] = &browser.complaints()[..] else { panic!("{:?}", browser.complaints()) };
    assert!(complaint.contains("status of 422"), "{complaint}");
}
