"""The jsPsych experiments in headless Chromium, from the first page to the saved answers."""

import csv

import pytest
from chromium import NEEDED, chromium
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from gradtts_interp.evaluation.psychometric import read_answers
from gradtts_interp.stimuli.experiments import write_experiment

pytestmark = NEEDED
PATIENCE_SECONDS = 120
TRIALS = {"identification": 3, "axb": 6, "rating": 3}
BUTTONS = {"identification": ["low & <b>", "high"], "axb": ["first", "last"], "rating": ["1 (low & <b>)", "7 (high)"]}


@pytest.fixture
def browser(tmp_path):
    driver = chromium(tmp_path / "chromium", downloads=tmp_path / "downloads")
    yield driver
    driver.quit()


@pytest.mark.parametrize("task", TRIALS)
def test_an_experiment_runs_to_its_last_answer(task, stimuli, browser, tmp_path):
    page = write_experiment(
        "jspsych", stimuli, task=task, labels=("low & <b>", "high"), repeats=2, question="Which <one>?"
    )
    browser.get(f"{page.as_uri()}?participant=p01")
    until = WebDriverWait(browser, PATIENCE_SECONDS, 0.05, [StaleElementReferenceException]).until
    until(lambda _: browser.find_elements(By.XPATH, "//button[text()='Start']"))[0].click()
    count = TRIALS[task] * 2
    for answered in range(count):
        buttons = until(_ready)
        assert {buttons[0].text, buttons[-1].text} == set(BUTTONS[task])
        assert "Which <one>?" in browser.find_element(By.TAG_NAME, "body").text
        buttons[-(answered % 2)].click()
        until(staleness_of(buttons[0]))
    until(lambda _: browser.find_elements(By.ID, "answers"))
    saved = until(lambda _: list((tmp_path / "downloads").glob("answers_p01.csv")))[0]
    rows = list(csv.DictReader(saved.open(newline="")))
    assert len(rows) == count and [row["trial"] for row in rows] == [str(i + 1) for i in range(count)]
    assert {row["participant"] for row in rows} == {"p01"} and {row["task"] for row in rows} == {task}
    assert sorted(row["stimulus"] for row in rows) == sorted(
        f"step_{i:02d}.wav" for i in range(3) for _ in range(count // 3)
    )
    assert all(float(row["rt_ms"]) > 0 for row in rows)
    for i, row in enumerate(rows):
        choices = "17" if task == "rating" else row["order"]
        assert row["response"] == choices[-(i % 2)]  # the first button, then the last
    assert len(read_answers([saved]).share) == count
    _require_no_network(browser)


def _ready(browser) -> list:
    """The answers of a trial, once all of them can be given."""
    buttons = browser.find_elements(By.CSS_SELECTOR, "button[data-choice]")
    return buttons if buttons and all(b.is_enabled() and b.text != "Start" for b in buttons) else []


def _require_no_network(browser) -> None:
    """Every file comes from the folder, and nothing went wrong on the page."""
    messages = [entry["message"] for entry in browser.get_log("performance")]
    sent = [message for message in messages if '"Network.requestWillBeSent"' in message]
    assert sent and not [m for m in sent if '"url":"http' in m]
    assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
