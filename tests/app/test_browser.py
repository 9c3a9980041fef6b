"""The app in a real Chromium: a blend by hand, two uploaded recordings, a curve that is dragged, errors, a stop."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

pytest.importorskip("gradio", reason="the extra app is not installed")
from chromium import NEEDED, chromium
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = NEEDED
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def app(checkpoint, tmp_path_factory):
    """The app as users start it; its address, process and folder for temporary files."""
    folder = tmp_path_factory.mktemp("tmp")
    named = os.environ.get("APP_CHECKPOINT", str(checkpoint))
    command = [sys.executable, "-m", "gradtts_interp.cli.main", "app", "-c", named, "--port", "0", "--threads", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)}
    )
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:"), line + process.stderr.read()
    yield line.split()[2].rstrip(";"), process, folder
    process.terminate()
    assert process.wait(30) == 0
    assert list(folder.glob("gradtts-interp-app-*")) == [], "temporary files stay behind"
    err = process.stderr.read()
    assert not re.search(r'File ".*gradtts_interp/', err), err  # Gradio tells of a path it refuses by a traceback


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def page(app, browser):
    """A fresh page."""
    browser.get(app[0])
    found(browser, "#curve-editor circle")
    return browser


def wait(driver, condition, message=""):
    return WebDriverWait(driver, PATIENCE_SECONDS, 0.2).until(condition, message)


def found(driver, selector):
    """Wait until there are such elements."""
    return wait(driver, lambda d: d.find_elements(By.CSS_SELECTOR, selector), selector)


def press(driver, name):
    driver.find_element(By.ID, name).click()


def says(driver, words):
    """Wait until an error is shown that holds the words."""
    wait(driver, lambda d: any(words in t.text for t in d.find_elements(By.CSS_SELECTOR, ".toast-body")), words)


def speak(driver):
    """Press the button, and wait for picture, heat map and players, all loaded."""
    press(driver, "speak")
    for name in ("picture", "attention-map"):
        width = f"return document.querySelector('#{name} img')?.naturalWidth || 0"
        wait(driver, lambda d, width=width: d.execute_script(width) > 100)
    for i in range(3):
        found(driver, f"#sound-{i} audio, #sound-{i} .waveform-container")


def fill(driver, name, text):
    box = driver.find_element(By.CSS_SELECTOR, f"#{name} textarea, #{name} input")
    driver.execute_script("arguments[0].value = ''", box)
    box.clear()
    box.send_keys(text)


def command_of(driver):
    return driver.find_element(By.CSS_SELECTOR, "#command textarea").get_attribute("value")


def test_a_blend_is_made_shown_and_can_be_taken_home(page):
    speak(page)
    assert command_of(page).startswith("gradtts-interp synthesize '--text=She wrote a letter.' --speaker=12")
    links = [a.get_attribute("href") for a in page.find_elements(By.CSS_SELECTOR, "#files a[href]")]
    by_name = {link.rsplit("/", 1)[1]: link for link in links}
    assert sorted(by_name) == ["command.txt", "sample_0.json", "sample_0.wav"]
    with urllib.request.urlopen(by_name["sample_0.wav"]) as answer:
        assert answer.read(4) == b"RIFF"
    assert "share of B in the pitch" in page.find_element(By.ID, "summary").text


def test_the_curve_is_drawn_by_dragging_and_by_typing(page):
    box = page.find_element(By.CSS_SELECTOR, "#curve-text textarea, #curve-text input")
    before = box.get_attribute("value")
    circle = found(page, "#curve-editor circle")[0]
    ActionChains(page).click_and_hold(circle).move_by_offset(60, -40).release().perform()
    dragged = box.get_attribute("value")
    assert dragged != before and dragged.endswith(",0.8:1")
    ActionChains(page).move_to_element(page.find_element(By.CSS_SELECTOR, "#curve-editor rect")).click().perform()
    assert len(found(page, "#curve-editor circle")) == 3
    fill(page, "curve-text", "0:0,0.3:1,0.6:0,1:1")
    wait(page, lambda d: len(found(d, "#curve-editor circle")) == 4)
    speak(page)
    assert "--curve=0:0,0.3:1,0.6:0,1:1" in command_of(page)


def test_two_uploaded_recordings_are_blended(page, tone_wav):
    for letter in "AB":
        page.find_element(By.CSS_SELECTOR, f"#source-{letter} input[value=recording]").click()
        found(page, f"#recording-{letter} input[type=file]")[0].send_keys(str(tone_wav))
        found(page, f"#recording-{letter} .waveform-container")
    speak(page)
    assert "--reference=reference.wav --reference2=reference2.wav" in command_of(page)


def test_what_cannot_be_spoken_is_said_in_words(page, tmp_path):
    fill(page, "text", "?!")
    press(page, "speak")
    says(page, "nothing to speak")
    fill(page, "text", "A cat.")
    page.find_element(By.CSS_SELECTOR, "#source-B input[value=recording]").click()
    press(page, "speak")
    says(page, "style B: choose a speaker, or upload")
    fake = tmp_path / "fake.wav"
    fake.write_text("this is no sound")
    found(page, "#recording-B input[type=file]")[0].send_keys(str(fake))
    time.sleep(2)
    press(page, "speak")
    says(page, "cannot be used")


def test_a_rendering_is_stopped(page):
    fill(page, "text", "A cat and two dogs ran over the hill. " * 9)
    page.execute_script("document.querySelector('button.label-wrap')?.click()")
    wait(page, lambda d: found(d, "#steps input[type=number]")[0].is_displayed())
    steps = found(page, "#steps input[type=number]")[0]
    page.execute_script("arguments[0].select()", steps)
    steps.send_keys("200\t")
    press(page, "speak")
    time.sleep(2)
    press(page, "stop")
    says(page, "Stopped")


def test_other_machines_cannot_reach_it(app):
    port = urllib.parse.urlparse(app[0]).port
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing; tells which address would be ours
        except OSError as error:
            pytest.skip(f"this machine has no other address: {error}")
        ours = probe.getsockname()[0]
    with pytest.raises(OSError):
        socket.create_connection((ours, port), timeout=10)


def ask(app, values):
    """What the server answers to a client of its own making, past the page."""
    config = json.loads(urllib.request.urlopen(f"{app[0]}config").read())
    speak = max(config["dependencies"], key=lambda d: len(d["inputs"]))
    assert len(speak["inputs"]) == len(values)
    body = {"data": values, "fn_index": speak["id"], "session_hash": "stranger"}
    request = urllib.request.Request(
        f"{app[0]}gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).read()
    with urllib.request.urlopen(f"{app[0]}gradio_api/queue/data?session_hash=stranger", timeout=300) as answer:
        for line in answer:
            if line.startswith(b"data:") and (event := json.loads(line[5:]))["msg"] == "process_completed":
                return event
    raise AssertionError("no answer")


def test_a_path_named_by_a_client_is_not_read(app, tone_wav):
    a = ["recording", None, None, {"path": str(tone_wav), "meta": {"_type": "gradio.FileData"}}]
    rest = ["over time", "0:0,1:1", 0.5, "", "", "A", [], 1, "unipc", 0]
    assert not ask(app, ["A cat.", *a, "nobody", None, None, None, *rest])["success"]
    a = ["speaker", "12", "neutral", None]
    assert ask(app, ["A cat.", *a, "nobody", None, None, None, *rest])["success"]  # asked like this, it does answer


def test_an_upload_larger_than_allowed_is_refused_by_the_server(app):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    body = head + b"0" * (11 * 2**20) + b"\r\n--x--\r\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{app[0]}gradio_api/upload", body, kind))
    assert caught.value.code == 413


@pytest.mark.parametrize("way", ["gradio_api/file=/", "gradio_api/file=../../../", "file/"])
def test_files_of_the_server_are_not_served(app, way):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{app[0]}{way}etc/passwd")
    assert caught.value.code in (403, 404)
