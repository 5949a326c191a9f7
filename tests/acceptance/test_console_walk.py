"""A walk through the console in a browser: what people do there, and what comes of it on their customers' phones."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from playwright.async_api import Page, expect

from inm.demo.installation import Installation
from tests.acceptance.test_two_workers import shared
from tests.support.chromium import MISSING, PHONE, PROGRAM, People, Person, chromium
from tests.support.commands import done
from tests.support.load import Books
from tests.support.stage import Stage, Traffic, build
from tests.support.tap import Tap, until, until_async
from tests.support.tour import stops

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)
FOCUSED = "(it => [it.id, it.textContent.trim(), getComputedStyle(it).outlineStyle])(document.activeElement)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(everything: Installation, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    if "worker-1" not in everything.workers:
        await everything.start_worker("worker-1")
    async with chromium() as browser:
        yield await build(everything, People(browser, everything.url()), tmp_path_factory.mktemp("walk"))


@pytest_asyncio.fixture(loop_scope="session")
async def traffic(installation: Installation, stage: Stage, tap: Tap, producer: AIOKafkaProducer) -> Traffic:
    return Traffic(stage, tap, producer)


def texts(books: Books, phone: str) -> list[str]:
    """What a phone has got."""
    return [part.text.decode() for part in books.parts if phone.endswith(part.destination)]


# -- texts --------------------------------------------------------------------------------------------


async def test_a_text_is_changed_approved_rejected_and_rolled_back(
    stage: Stage, traffic: Traffic, books: Books, phones: Callable[[], str]
) -> None:
    await traffic.user("lucia", language="it", phone=phones(), name="Lucia")
    first, second, third = phones(), phones(), phones()
    before = await traffic.ask(first)
    async with stage.person("editor") as editor, stage.person("moderator") as moderator:
        await _written(editor, "Good day {{ text }}")
        await editor.sees("reviews it")
        await traffic.ask(second)
        assert texts(books, second) == ["Hello Ada"], "nobody has approved the new one"

        await moderator.open("/templates?state=submitted")
        await moderator.page.get_by_role("link", name="hello", exact=True).click()
        await expect(moderator.page.locator("#difference + pre, .difference").locator("ins").first).to_contain_text("Good day")
        await moderator.press("Approve")
        await moderator.told()
        after = await traffic.ask(third)
        assert texts(books, third) == ["Good day Ada"]

        await _written(editor, "Yo {{ text }}")
        await moderator.open("/templates/hello")
        await moderator.press("Reject")
        await moderator.sees("Say why")
        await moderator.page.get_by_label("Comment").first.fill("We do not talk like that")
        await moderator.press("Reject")
        await editor.open("/templates/hello")
        await editor.sees("We do not talk like that")

        await editor.open("/templates/hello/1")
        await editor.press("Make this text the newest")
        await moderator.open("/templates/hello")
        await moderator.press("Approve")
        await moderator.told()
        await traffic.ask(third)
        assert texts(books, third) == ["Good day Ada", "Hello Ada"]
    async with stage.person("operator") as operator:
        for edr, text in ((before, "Hello Ada"), (after, "Good day Ada")):
            await operator.open(f"/notifications/{edr.notification}/text")
            await expect(operator.page.locator("pre")).to_have_text(text)


async def _written(editor: Person, text: str) -> None:
    """A new version, handed in: found by typing, seen with a user's data while it is written."""
    await editor.open("/templates")
    await editor.page.get_by_label("Name").fill("hel")
    await expect(editor.page.get_by_role("link", name="letter", exact=True)).to_have_count(0)
    # A hand presses for a while: what leaving the search field brings must not take the link away under it.
    await editor.page.get_by_role("link", name="hello", exact=True).click(delay=300)
    await editor.page.get_by_role("link", name="Write a new version").click()
    await editor.page.locator("#text-0").fill(text)
    shown = editor.page.locator("#shown")
    await expect(shown).to_contain_text(text.partition(" {{")[0])
    await editor.page.get_by_label("Id of a user").fill("lucia")
    await expect(shown).to_contain_text("This user gets it.")
    await editor.page.get_by_label("What was changed, and why").fill("More polite")
    await editor.press("Hand in for review")
    await editor.page.wait_for_url(re.compile(r"/templates/hello/\d+$"))


async def test_a_test_is_sent_and_ends_as_its_address_says(stage: Stage, tap: Tap) -> None:
    async with stage.person("editor") as editor:
        await editor.open("/templates/letter/test")
        await editor.page.get_by_label("Your own number or mailbox").fill("permanent@inm.test")
        await editor.press("Send the test")
        assert await editor.told()
    await tap.when(lambda: any(edr.test and edr.final and edr.tenant == stage.tenant and edr.event == "failed" for edr in tap.edrs))


async def test_scripts_in_a_text_do_not_run(stage: Stage) -> None:
    evil = "<b>bold</b><script>document.body.append(document.createElement('hr'))</script><img src=x onerror=\"this.before('stolen')\">"
    async with stage.person("editor") as editor:
        await editor.open("/templates/letter/edit")
        for part in ("subject-0", "text-0", "html-0"):
            await editor.page.locator(f"#{part}").fill(evil)
        await expect(editor.page.locator("#shown")).to_contain_text("document.createElement")
        frame = editor.page.frame_locator("iframe.letter")
        await expect(frame.locator("b")).to_have_text("bold")
        assert "stolen" not in await frame.locator("body").inner_text()
        assert await frame.locator("hr").count() == await editor.page.locator("hr").count() == 0


async def test_who_is_slower_sees_both_texts(stage: Stage) -> None:
    async with stage.person("editor") as editor, stage.person("admin") as admin:
        for person in (editor, admin):
            await person.open("/templates/letter/edit")
        for person, text in ((editor, "Hello from Elena"), (admin, "Hello from Ada")):
            await person.page.locator("#text-0").fill(text)
            await person.press("Keep as a draft")
        await expect(admin.page.get_by_role("heading", name="Somebody was faster")).to_be_visible()
        await admin.sees("Hello from Elena")
        await expect(admin.page.locator("#text-0")).to_have_value("Hello from Ada")
        await admin.press("Keep as a draft")
        await admin.page.wait_for_url(re.compile(r"/templates/letter/\d+$"))
        await admin.sees("Hello from Ada")


async def test_what_is_written_outlives_the_session(stage: Stage) -> None:
    async with stage.person("editor") as editor:
        await editor.open("/templates/letter/edit")
        await editor.page.locator("#text-0").fill("A long letter to {{ text }}, and much work")
        aside = await editor.page.context.new_page()
        await aside.goto(f"{editor.url}/")
        await aside.get_by_role("button", name="Sign out").click()
        await aside.wait_for_url("**/sign-in*")
        await editor.page.get_by_label("What was changed, and why").fill("In the evening")
        await editor.sees("What you wrote stays")
        await editor.press("Keep as a draft")
        await editor.sees("what you wrote is still here")
        for label, typed in (("Tenant", stage.tenant), ("Name", "editor"), ("Password", stage.passwords["editor"])):
            await editor.page.get_by_label(label, exact=True).fill(typed)
        await editor.press("Sign in")
        await editor.sees("A long letter to {{ text }}, and much work")
        await editor.press("Send what I wrote")
        await editor.sees("The draft was kept.")


# -- operating ----------------------------------------------------------------------------------------


async def test_an_operator_sees_it_live_finds_it_calls_it_back_and_sends_it_again(
    stage: Stage, traffic: Traffic, books: Books, phones: Callable[[], str]
) -> None:
    phone, late = phones(), phones()
    async with stage.person("operator") as operator:
        page = operator.page
        accepted = page.get_by_role("row").filter(has_text="hello").get_by_role("cell").first
        count = int(await accepted.inner_text())
        edr = await traffic.ask(phone)
        await expect(accepted).to_have_text(str(count + 1))

        await page.get_by_label("Find a notification").fill(f"0039 {phone[3:6]} {phone[6:]}")
        await operator.press("Search")
        await page.get_by_role("link", name=edr.notification).click()
        assert phone not in await operator.words()
        await page.get_by_role("link", name="Show addresses in full").click()
        await expect(page.locator("main")).to_contain_text(phone)

        resend = page.locator("form[action$='/resend']")
        await resend.get_by_label("Why").fill("The phone was broken")
        await resend.get_by_role("button").click()
        await operator.told()
        await until(lambda: len(texts(books, phone)) == 2, what=lambda: books.parts)

        await traffic.send(late, at=(datetime.now(UTC) + timedelta(hours=20)).isoformat())
        await operator.open("/notifications?scenario=hello&state=scheduled")
        link = page.locator("#found tbody a")
        while not await link.count():
            await page.reload()
        await link.first.click()
        cancel = page.locator("form[action$='/cancel']")
        await cancel.get_by_label("Why").fill("Not wanted any more")
        await cancel.get_by_role("button").click()
        await operator.told()
        await expect(page.locator("main")).to_contain_text("This is its end.")

        await operator.open("/audit?who=operator")
        words = await operator.words()
        for deed in ("signed in", "saw personal data", "sent again", "The phone was broken", "called back", "Not wanted any more"):
            assert deed in words
    assert texts(books, late) == []


async def test_views_have_the_rows_of_both_workers_and_a_user_is_forgotten(
    stage: Stage, traffic: Traffic, installation: Installation, phones: Callable[[], str]
) -> None:
    names = [f"user-{number}" for number in range(12)]
    for name in names:
        await traffic.user(name, language="it", name="Lucia")
    await installation.start_worker("worker-2")
    await shared(installation)
    async with stage.person("operator") as operator:
        page = operator.page
        before = [await _accepted(page, installation.url(worker)) for worker in installation.workers]
        for _ in range(8):
            await traffic.ask(phones())

        async def both_know_the_whole() -> bool:
            after = [await _accepted(page, installation.url(worker)) for worker in installation.workers]
            return after == [count + 8 for count in before] and len(set(after)) == 1

        await until_async(both_know_the_whole, 20)
        for worker in ("worker-2", "worker-1"):
            await page.goto(f"{installation.url(worker)}/console/tables/users?begins=user-")
            await expect(page.locator("#found tbody tr")).to_have_count(len(names))
        await page.get_by_label("Key, in full").fill(names[0])
        await operator.press("Show the row")
        await page.get_by_label("Why").fill("She asked for it")
        await operator.press("Forget what is known")
        await operator.told()
        await operator.open("/tables/users?begins=user-")
        while await page.locator("#found tbody tr").count() == len(names):
            await page.reload()
        await expect(page.locator("#found tbody tr")).to_have_count(len(names) - 1)


async def _accepted(page: Page, url: str) -> int:
    """How many greetings have been accepted, by the word of a worker."""
    answer = await page.request.get(f"{url}/console/", headers={"Accept": "application/json"})
    found: int = (await answer.json())["scenarios"]["hello"]["accepted"]
    return found


async def test_a_campaign_is_watched_paused_resumed_and_cancelled(
    stage: Stage, installation: Installation, phones: Callable[[], str], tmp_path: Path
) -> None:
    file = tmp_path / "audience.csv"
    file.write_text("\n".join(["phone;text", *(f"{phones()};Ada" for _ in range(300))]))
    await done(
        installation, "campaign", "create", "spring", "--tenant", stage.tenant, "--scenario", "hello", "--audience", file, "--pace", "5"
    )
    async with stage.person("operator") as operator:
        page = operator.page
        await operator.open("/campaigns")
        await page.get_by_role("link", name="spring").click()
        await operator.press("Start it")
        moved = page.locator("label[for=bar]")
        await expect(moved).not_to_contain_text("0 of 300")
        await operator.press("Pause it")
        await expect(page.locator("#moving .state").first).to_contain_text("paused")
        await operator.press("Let it go on")
        await expect(page.locator("#moving .state").first).to_contain_text("running")
        cancel = page.locator("form[action$='/cancel']")
        await cancel.get_by_label("Why").fill("The offer is over")
        await cancel.get_by_role("button").click()
        await expect(page.locator("#moving .state").first).to_contain_text("cancelled")


async def test_a_dead_letter_is_mended_and_another_one_dropped(
    stage: Stage, traffic: Traffic, books: Books, tap: Tap, phones: Callable[[], str]
) -> None:
    wrong, lost = phones(), phones()
    for phone in (wrong, lost):  # the latest letter is the first one on the page
        await traffic.nonsense(phone)
        await tap.letter(phone)
    async with stage.person("operator") as operator:
        page = operator.page
        for form, why in (("drop", "Nobody waits for it"), ("retry", "A slip of the pen")):
            await operator.open("/dead")
            await page.locator("#found tbody a").first.click()
            if form == "retry":
                await page.get_by_role("link", name="Show personal data").click()
                area = page.get_by_label("Record, mended")
                record = await area.input_value()
                assert wrong in record
                await area.fill(record.replace("helo", "hello"))
            await page.locator(f"form[action$='/{form}']").get_by_label("Why").fill(why)
            await page.locator(f"form[action$='/{form}']").get_by_role("button").click()
            await operator.told()
    await until(lambda: len(texts(books, wrong)) == 1, what=lambda: books.parts)


# -- people -------------------------------------------------------------------------------------------


async def test_an_admin_makes_an_account_whose_owner_chooses_language_and_colours(stage: Stage) -> None:
    async with stage.person("admin") as admin:
        await admin.open("/accounts")
        await admin.page.get_by_label("Name", exact=True).fill("nina")
        await admin.page.get_by_label("Full name").fill("Nina Russo")
        await admin.page.get_by_label("viewer").check()
        await admin.page.get_by_label("Password", exact=True).fill("a password of nina")
        await admin.press("Create the account")
        assert await admin.told()
        async with stage.people.person() as nina:
            await nina.enter(stage.tenant, "nina", "a password of nina")
            await nina.open("/me")
            await nina.page.get_by_label("Language of the pages").select_option("it")
            await nina.page.locator("form[action$='/language']").get_by_role("button").click()
            await expect(nina.page.locator("html")).to_have_attribute("lang", "it")
            light = await _ground(nina.page)
            await nina.page.locator("button[value=dark]").click()
            await expect(nina.page.locator("html")).to_have_attribute("data-theme", "dark")
            assert await _ground(nina.page) != light
            await admin.open("/accounts/nina")  # she has changed it meanwhile: her language
            await admin.page.get_by_label("Disabled").check()
            await admin.press("Keep")
            await admin.sees("disabled")
            while "sign-in" not in nina.page.url:
                await nina.page.reload()


async def _ground(page: Page) -> str:
    found: str = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found


async def test_the_keyboard_is_enough(stage: Stage) -> None:
    async with stage.people.person() as editor:
        page = editor.page
        await editor.open(f"/sign-in?tenant={stage.tenant}&next=/console/templates/hello/edit")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        for typed in ("", "editor", stage.passwords["editor"]):
            await page.keyboard.press("Tab")
            await page.keyboard.type(typed)
        await page.keyboard.press("Enter")
        await expect(page.locator("#text-0")).to_be_visible()
        await page.locator(".skip").focus()
        await page.keyboard.press("Enter")
        await _tabbed(page, "text-0")
        await page.keyboard.press("Control+End")
        await page.keyboard.type(" by keys")
        await expect(page.locator("#shown")).to_contain_text("by keys")
        await _tabbed(page, "Keep as a draft")
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile(r"/templates/hello/\d+$"))
        await editor.sees("The draft was kept.")


async def _tabbed(page: Page, place: str) -> None:
    """Press Tab until something has the focus, by its id or its words; it must be seen there."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        found = await page.evaluate(
            "[document.activeElement.id, document.activeElement.textContent.trim(), getComputedStyle(document.activeElement).outlineStyle]"
        )
        if place in found[:2]:
            assert found[2] == "solid", "the focus is not to be seen"
            return
    raise AssertionError(f"Tab does not come to {place}")


async def test_forms_work_without_scripts(stage: Stage) -> None:
    async with stage.person("editor", scripts=False) as editor:
        await editor.open("/templates?q=hel")
        await editor.page.get_by_role("link", name="hello", exact=True).click()
        await editor.page.get_by_role("link", name="Write a new version").click()
        await editor.page.locator("#text-0").fill("Without scripts {{ text }}")
        await editor.press("Show the preview")
        await expect(editor.page.locator("#shown")).to_contain_text("Without scripts")
        await editor.press("Keep as a draft")
        await editor.sees("The draft was kept.")


async def test_every_page_is_accessible_in_both_colours_and_fits_a_phone(
    stage: Stage, traffic: Traffic, tap: Tap, installation: Installation, phones: Callable[[], str], tmp_path: Path
) -> None:
    edr = await traffic.ask(phones())
    bad = phones()
    await traffic.nonsense(bad)
    await tap.letter(bad)
    await traffic.user("lucia", language="it", name="Lucia", phone=phones())
    file = tmp_path / "audience.csv"
    file.write_text(f"phone;text\n{phones()};Ada\n{phones()};Bo\nnothing;Cy")
    campaign = ("--tenant", stage.tenant, "--scenario", "hello", "--audience", file, "--max-faulty", 50)
    await done(installation, "campaign", "create", "small", *campaign)
    wrong: list[str] = []
    async with stage.people.person() as admin:
        await admin.open("/sign-in")
        wrong += await _examined(admin, "sign-in")
        await admin.enter(stage.tenant, "admin", stage.passwords["admin"])
        await admin.open("/dead")
        letter = await admin.page.locator("#found tbody a").first.inner_text()
        await admin.open("/tables/users?key=lucia")
        places = {
            "scenario": "hello", "state": "delivered", "notification": edr.notification, "campaign": "small", "letter": letter,
            "user": admin.page.url.removeprefix(admin.url), "template": "hello", "email": "letter", "account": "editor",
        }  # fmt: skip
        for stop in stops(places):
            await admin.page.set_viewport_size({"width": 1280, "height": 800})
            await admin.page.emulate_media(color_scheme="light")
            await admin.open(stop.path)
            wrong += await _examined(admin, stop.name)
    assert wrong == []


async def _examined(person: Person, name: str) -> list[str]:
    """What is wrong with the page, in light and dark and on a phone."""
    light = [f"{name}: {each}" for each in await person.violations()]
    await person.page.emulate_media(color_scheme="dark")
    dark = [f"{name}, dark: {each}" for each in await person.violations("color-contrast")]
    await person.page.set_viewport_size({"width": PHONE, "height": 740})
    wider = await person.overflow()
    return [*light, *dark, *([f"{name}: {wider} px wider than a phone"] if wider > 0 else [])]
