"""Lines of running text that speak of cookies, rights, log-ins and links stay; the notices and buttons they resemble go."""

from __future__ import annotations

import polars as pl
import pytest

from winnow.filters.cleaning.boilerplate import boilerplate

STAY = [
    ("By clicking the link, the victim installed malware that stole browser cookies. The police were told.", "en"),
    ("Users could not reject all cookies as easily as they could accept them, the regulator said.", "en"),
    ("Printed at the foot of each page was the line All Rights Reserved, which by 1952 had no effect.", "en"),
    ("You must register to vote in person.", "en"),
    ("A licensed work may not be reproduced without permission, the court held.", "en"),
    ("You need to enable JavaScript in your browser before you can debug it.", "en"),
    ("Next: mix the flour with the eggs. Then let the dough rest for an hour.", "en"),
    ("Next: mix the flour with the eggs.", "en"),
    ("<Background", "en"),
    ("<Preview />", "en"),
    ("<Back />", "en"),
    ("<< prev;", "en"),
    ("← Background radiation", "en"),
    ("Unauthorized reproduction of medals is prohibited by the statute of 1923.", "en"),
    ("Bakers use cookies. We sell them on our site.", "en"),
    ("Top 10", "en"),
    ("저작권이란 창작물을 만든 이의 권리이다. 우리나라 저작권법은 저작물의 무단 복제를 금지합니다.", "ko"),
    ("우리나라 저작권법은 저작물의 무단 복제를 금지합니다.", "ko"),
    ("뉴욕타임스, 챗GPT AI 학습 금지", "ko"),
    ("EU, 얼굴 사진 무단 복제 금지", "ko"),
    (
        "우리 서비스에서 쿠키를 사용합니다. 쿠키는 서버가 브라우저에 저장하는 작은 파일이며 설정에서 지울 수 있습니다.",
        "ko",
    ),
    ("EU는 쿠키 사용에 대한 이용자의 동의하지 않을 권리를 인정했다.", "ko"),
    ("▶ 구독 경제의 성장으로 시장 규모가 커졌다", "ko"),
    ("▶ 시민 제보 3건을 바탕으로 조사했다.", "ko"),
    ("로그인 후 관리자 페이지에서 사용자를 등록합니다.", "ko"),
    ("회원만 투표할 수 있습니다.", "ko"),
    ("다음 항목: 신분증, 통장 사본, 도장을 지참해야 한다.", "ko"),
    ("홈 > 설정 > 네트워크를 차례로 누릅니다", "ko"),
    ("우리 마을 사람 수백 명이 좋아합니다.", "ko"),
    ("총 12개", "ko"),
    ("총 3건", "ko"),
    ("첨부파일은 메일로 보냈다.", "ko"),
    ("메뉴를 고르고 닫기를 누른다.", "ko"),
    ("En poursuivant sa navigation, Magellan accepta de longer la côte.", "fr"),
    ("Si sigue navegando, el barco aceptará el uso de la vela.", "es"),
    ("Продолжая работу над сайтом, студенты изучили cookie и сессии.", "ru"),
    ("รัฐบาลสงวนสิทธิ์ในการแก้ไขสัญญาตามที่เห็นสมควร", "th"),
    ("กฎหมายห้ามทำซ้ำงานอันมีลิขสิทธิ์ของผู้อื่น", "th"),
    ("قال المحامي إن الحقوق محفوظة لأصحابها بموجب القانون الجديد.", "ar"),
    ("Tòa án cho rằng bản quyền thuộc về tác giả của bài hát.", "vi"),
    ("माँ ने कुकीज बनाने के लिए मक्खन का उपयोग किया।", "hi"),
    ("Das Gericht sah die Nutzung von Cookies als zulässig an, weil der Kläger zu spät kam.", "de"),
    ("法院认为，版权所有者应当得到赔偿。", "zh"),
    ("法律は無断転載を禁止している。", "ja"),
]

GO = [
    ("이 기사를 공유합니다", "ko"),
    ("닫기", "ko"),
    ("메뉴", "ko"),
    ("TOP", "ko"),
    ("모두 동의", "ko"),
    ("스크롤 이동 상태바", "ko"),
    ("프린트 스크랩", "ko"),
    ("첨부파일", "ko"),
    ("Facebook Twitter LinkedIn", "en"),
    ("Powered by WordPress", "en"),
    ("WhatsApp YouTube", "en"),
    ("By using our website, you agree to our Terms of Use and Privacy Policy.", "en"),
    ("Accept all cookies", "en"),
    ("Please enable JavaScript to view the comments powered by Disqus.", "en"),
    ("You need to enable JavaScript to run this app.", "en"),
    ("You must be logged in to post a comment.", "en"),
    ("Copyright © 2024 Example, Inc. All rights reserved. Powered by hope.", "en"),
    ("Example Ltd. All Rights Reserved.", "en"),
    ("This material may not be published, broadcast, rewritten, or redistributed without permission.", "en"),
    ("« Previous", "en"),
    ("« Back to list", "en"),
    ("< Previous page", "en"),
    ("Next: The Garden in Spring", "en"),
    ("Previous post: spring, at last", "en"),
    ("Home > News > Local", "en"),
    ("ⓒ 예시일보(www.x.co.kr), 무단전재 및 재배포 금지", "ko"),
    ("예시일보(www.x.co.kr) 무단전재 및 재배포 금지", "ko"),
    ("무단 전재 및 재배포를 금합니다.", "ko"),
    ("무단전재·재배포 금지", "ko"),
    ("무단전재 재배포 금지", "ko"),
    ("본 기사는 저작권법의 보호를 받으며 무단 복제를 금합니다.", "ko"),
    ("무단 복제 금지", "ko"),
    ("▶ 네이버에서 예시일보 구독하기", "ko"),
    ("▶ 예시 뉴스 앱 다운로드", "ko"),
    ("▶ 바로가기", "ko"),
    ("로그인 후 댓글을 등록할 수 있습니다.", "ko"),
    ("로그인 후 이용해 주세요.", "ko"),
    ("회원만 댓글을 쓸 수 있습니다.", "ko"),
    ("회원만 열람할 수 있습니다.", "ko"),
    ("다음글: 봄 소풍 안내", "ko"),
    ("홈 > 커뮤니티 > 공지사항", "ko"),
    ("김하나님 외 12명이 좋아합니다.", "ko"),
    ("총 12건의 글이 있습니다.", "ko"),
    ("총 120건 (1/12 페이지)", "ko"),
    ("저희 웹사이트는 쿠키를 사용합니다. 계속 이용하시면 동의한 것으로 간주합니다.", "ko"),
    ("당사는 더 나은 서비스를 제공하기 위해 쿠키를 사용합니다.", "ko"),
    ("쿠키 사용에 동의합니다.", "ko"),
    ("En poursuivant votre navigation sur ce site, vous acceptez l'utilisation de cookies.", "fr"),
    ("Si continúa navegando, consideramos que acepta su uso.", "es"),
    ("Продолжая использовать сайт, вы соглашаетесь с использованием cookie.", "ru"),
    ("สงวนลิขสิทธิ์ © 2567 บริษัทตัวอย่าง", "th"),
    ("© 2024 สงวนสิทธิ์ทุกประการ", "th"),
    ("جميع الحقوق محفوظة لموقع المثال 2024", "ar"),
    ("Bản quyền thuộc về Báo Ví Dụ", "vi"),
    ("यह वेबसाइट कुकीज़ का उपयोग करती है। अधिक जानें", "hi"),
    ("© 2024 Beispiel GmbH. Alle Rechte vorbehalten.", "de"),
    ("未经许可，不得转载，违者必究", "zh"),
    ("当サイトの記事の無断転載を禁じます。", "ja"),
    ("Ao continuar navegando, você concorda com a nossa política.", "pt"),
]


def left(line: str, language: str) -> bool:
    return boilerplate((language, "en"))(pl.Series([f"본문 first.\n{line}\nlast 문장."])) == {}


@pytest.mark.parametrize(("line", "language"), STAY)
def test_prose_and_code_stay(line: str, language: str) -> None:
    assert left(line, language)


@pytest.mark.parametrize(("line", "language"), GO)
def test_notices_and_buttons_go(line: str, language: str) -> None:
    assert not left(line, language)
