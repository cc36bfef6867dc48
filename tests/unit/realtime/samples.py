"""One example and more of every event, with every field set somewhere; shared by unit and conformance tests."""

from typing import Any

from msgspec import UNSET

from offhook import realtime as rt

PCM = rt.AudioFormat("audio/pcm", 24000)

CONTENT = (
    rt.ContentPart(type="input_text", text="Hello"),
    rt.ContentPart(type="input_audio", transcript=None),
    rt.ContentPart(type="input_audio", audio="AAAA", transcript="Hello"),
    rt.ContentPart(type="input_image", image_url="data:image/png;base64,AAAA", detail="low"),
)

ITEMS: tuple[rt.Item, ...] = (
    rt.system_message("The caller is a customer."),
    rt.user_message("The caller pressed 1 2 3 on the keypad."),
    rt.assistant_message("It has shipped."),
    rt.MessageItem(id="item_U", object="realtime.item", status="completed", role="user", content=CONTENT),
    rt.MessageItem(
        id="item_A",
        object="realtime.item",
        status="incomplete",
        role="assistant",
        content=(rt.ContentPart(type="output_audio", transcript="Hello"),),
    ),
    rt.FunctionCallItem(
        id="item_F", object="realtime.item", status="completed", name="look", call_id="call_1", arguments="{}"
    ),
    rt.FunctionCallOutputItem(
        id="item_O", object="realtime.item", status="completed", call_id="call_1", output='{"a":1}'
    ),
    rt.McpListToolsItem(
        id="item_L",
        server_label="shop",
        tools=(rt.McpListedTool(name="a", input_schema={"type": "object"}, description="A tool.", annotations=None),),
    ),
    rt.McpCallItem(id="item_M", server_label="shop", name="a", arguments="{}", approval_request_id=None, output="1"),
    rt.McpCallItem(
        id="item_N",
        server_label="shop",
        name="a",
        arguments="{}",
        output=None,
        error=rt.McpError(type="http_error", code=500, message="broken"),
    ),
    rt.McpApprovalRequestItem(id="item_Q", server_label="shop", name="a", arguments="{}"),
    rt.McpApprovalResponseItem(id="item_R", approval_request_id="item_Q", approve=True, reason="fine"),
)

TOOLS: tuple[rt.Tool, ...] = (
    rt.FunctionTool(name="look", description="Looks.", parameters={"type": "object", "properties": {}}),
    rt.McpTool(
        server_label="shop",
        server_url="https://example.com/mcp",
        connector_id="connector_gmail",
        tunnel_id="t",
        server_description="A shop.",
        authorization="secret",
        headers={"X-A": "b"},
        allowed_tools=("a",),
        allowed_callers=("direct",),
        require_approval="never",
        defer_loading=False,
    ),
    rt.McpTool(
        server_label="other",
        allowed_tools=rt.ToolFilter(tool_names=("a",), read_only=True),
        require_approval=rt.ApprovalFilter(
            always=rt.ToolFilter(tool_names=("a",)), never=rt.ToolFilter(read_only=True)
        ),
    ),
)

SERVER_VAD = rt.ServerVad(
    threshold=0.5,
    prefix_padding_ms=300,
    silence_duration_ms=500,
    idle_timeout_ms=None,
    create_response=True,
    interrupt_response=True,
)

CONFIG = rt.SessionConfig(
    output_modalities=("audio",),
    instructions="You answer the phone.",
    audio=rt.AudioConfig(
        input=rt.AudioInput(
            format=rt.PCMU,
            noise_reduction=rt.NoiseReduction(type="near_field", strength=0.5),
            transcription=rt.TranscriptionConfig(
                model="gpt-transcribe",
                language="en",
                languages=("en", "de"),
                keywords=("Acme",),
                prompt="A call.",
                delay="low",
            ),
            turn_detection=SERVER_VAD,
        ),
        output=rt.AudioOutput(format=rt.PCMU, voice="marin", speed=1.0),
    ),
    tools=TOOLS,
    tool_choice="auto",
    parallel_tool_calls=True,
    reasoning=rt.Reasoning("low"),
    max_output_tokens="inf",
    truncation="auto",
    tracing=None,
    include=("item.input_audio_transcription.logprobs",),
)

OTHER_CONFIG = rt.SessionConfig(
    audio=rt.AudioConfig(
        input=rt.AudioInput(
            format=PCM,
            noise_reduction=None,
            transcription=None,
            turn_detection=rt.SemanticVad(eagerness="high", create_response=True, interrupt_response=False),
        ),
        output=rt.AudioOutput(format=PCM, voice=rt.VoiceId("voice_1")),
    ),
    tool_choice=rt.ToolChoice(type="mcp", server_label="shop", name="a"),
    max_output_tokens=400,
    truncation=rt.Truncation(retention_ratio=0.8, token_limits=rt.TokenLimits(8000)),
    tracing=rt.Tracing(workflow_name="w", group_id="g", metadata={"a": "b"}),
)

SESSION = rt.merge_config(
    rt.Session(
        object="realtime.session",
        id="sess_1",
        model="gpt-realtime-2.1",
        expires_at=1795363200,
        prompt=rt.Prompt(id="pmpt_1", version="2", variables={"a": "b"}),
    ),
    CONFIG,
)

PARAMS = rt.ResponseParams(
    conversation="none",
    input=(rt.user_message("Hello"),),
    instructions="Summarise.",
    output_modalities=("text",),
    audio=rt.ResponseAudio(output=rt.ResponseAudioOutput(format=rt.PCMU, voice="marin")),
    tools=TOOLS,
    tool_choice=rt.ToolChoice(type="function", name="look"),
    parallel_tool_calls=False,
    reasoning=rt.Reasoning("low"),
    max_output_tokens=400,
    prompt=rt.Prompt(id="pmpt_1"),
    metadata={"offhook": "oh_1/beside/summary"},
)

CLIENT_EVENTS: tuple[rt.ClientEvent, ...] = (
    rt.SessionUpdateEvent(event_id="e1", session=CONFIG),
    rt.SessionUpdateEvent(session=OTHER_CONFIG),
    rt.InputAudioBufferAppendEvent(event_id="e2", audio=b"\xff" * 160),
    rt.InputAudioBufferCommitEvent(event_id="e3"),
    rt.InputAudioBufferClearEvent(event_id="e4"),
    rt.OutputAudioBufferClearEvent(event_id="e5"),
    *(rt.ConversationItemCreateEvent(event_id="e6", previous_item_id="root", item=item) for item in ITEMS),
    rt.ConversationItemDeleteEvent(event_id="e7", item_id="item_A"),
    rt.ConversationItemRetrieveEvent(event_id="e8", item_id="item_A"),
    rt.ConversationItemTruncateEvent(event_id="e9", item_id="item_A", content_index=0, audio_end_ms=860),
    rt.ResponseCreateEvent(event_id="e10"),
    rt.ResponseCreateEvent(event_id="e11", response=PARAMS),
    rt.ResponseCancelEvent(event_id="e12", response_id="resp_1"),
)

USAGE = rt.ResponseUsage(
    total_tokens=294,
    input_tokens=198,
    output_tokens=96,
    input_token_details=rt.InputTokens(
        text_tokens=170,
        audio_tokens=28,
        image_tokens=0,
        cached_tokens=128,
        cached_tokens_details=rt.CachedTokens(text_tokens=128, audio_tokens=0, image_tokens=0),
    ),
    output_token_details=rt.OutputTokens(text_tokens=18, audio_tokens=78),
)

RESPONSE = rt.Response(
    id="resp_1",
    status="failed",
    status_details=rt.StatusDetails(
        type="failed",
        reason="content_filter",
        error=rt.ResponseError(type="server_error", code="rate_limit_exceeded", message="Slow down."),
    ),
    output=ITEMS,
    conversation_id="conv_1",
    output_modalities=("audio",),
    max_output_tokens="inf",
    audio=rt.ResponseAudio(output=rt.ResponseAudioOutput(format=rt.PCMU, voice="marin")),
    usage=USAGE,
    metadata={"offhook": "oh_1/default/greeting"},
)

LOGPROBS = (rt.LogProb(token="Hi", bytes=(72, 105), logprob=-0.1),)
IN_RESPONSE: dict[str, Any] = {"response_id": "resp_1", "item_id": "item_A"}

SERVER_EVENTS: tuple[rt.KnownServerEvent, ...] = (
    rt.ErrorEvent(
        event_id="s1",
        error=rt.ErrorDetails(
            type="invalid_request_error", code="invalid_value", message="No.", param="session.voice", event_id="e1"
        ),
    ),
    rt.SessionCreatedEvent(event_id="s1", session=SESSION),
    rt.SessionUpdatedEvent(event_id="s1", session=SESSION),
    rt.ConversationCreatedEvent(
        event_id="s1", conversation=rt.Conversation(id="conv_1", object="realtime.conversation")
    ),
    rt.ConversationItemCreatedEvent(event_id="s1", previous_item_id="item_U", item=ITEMS[0]),
    *(rt.ConversationItemAddedEvent(event_id="s1", previous_item_id=None, item=item) for item in ITEMS),
    rt.ConversationItemDoneEvent(event_id="s1", previous_item_id="item_U", item=ITEMS[4]),
    rt.ConversationItemDeletedEvent(event_id="s1", item_id="item_A"),
    rt.ConversationItemRetrievedEvent(event_id="s1", item=ITEMS[3]),
    rt.ConversationItemTruncatedEvent(event_id="s1", item_id="item_A", content_index=0, audio_end_ms=860),
    rt.InputAudioTranscriptionDeltaEvent(
        event_id="s1", item_id="item_U", content_index=0, delta="Hi", logprobs=LOGPROBS
    ),
    rt.InputAudioTranscriptionCompletedEvent(
        event_id="s1",
        item_id="item_U",
        content_index=0,
        transcript="Hi",
        usage=rt.TranscriptionUsage(
            type="tokens",
            total_tokens=35,
            input_tokens=28,
            output_tokens=7,
            input_token_details=rt.TranscriptionInputTokens(text_tokens=0, audio_tokens=28),
        ),
        languages=(rt.TranscribedLanguage(code="en"),),
        logprobs=None,
    ),
    rt.InputAudioTranscriptionCompletedEvent(
        event_id="s1",
        item_id="item_U",
        transcript="Hi",
        usage=rt.TranscriptionUsage(type="duration", seconds=2.19),
    ),
    rt.InputAudioTranscriptionFailedEvent(
        event_id="s1",
        item_id="item_U",
        content_index=0,
        error=rt.TranscriptionError(type="server_error", code="audio_unintelligible", message="No.", param=None),
    ),
    rt.InputAudioTranscriptionSegmentEvent(
        event_id="s1", id="seg_1", item_id="item_U", content_index=0, speaker="A", start=0.5, end=1.5, text="Hi"
    ),
    rt.InputAudioBufferSpeechStartedEvent(event_id="s1", audio_start_ms=3188, item_id="item_U"),
    rt.InputAudioBufferSpeechStoppedEvent(event_id="s1", audio_end_ms=6016, item_id="item_U"),
    rt.InputAudioBufferCommittedEvent(event_id="s1", previous_item_id="item_A", item_id="item_U"),
    rt.InputAudioBufferClearedEvent(event_id="s1"),
    rt.InputAudioBufferTimeoutTriggeredEvent(event_id="s1", audio_start_ms=13216, audio_end_ms=19232, item_id="item_U"),
    rt.InputAudioBufferDtmfEventReceivedEvent(event_id=UNSET, event="9", received_at=1795363200),
    rt.OutputAudioBufferStartedEvent(event_id="s1", response_id="resp_1"),
    rt.OutputAudioBufferStoppedEvent(event_id="s1", response_id="resp_1"),
    rt.OutputAudioBufferClearedEvent(event_id="s1", response_id="resp_1"),
    rt.RateLimitsUpdatedEvent(
        event_id="s1", rate_limits=(rt.RateLimit(name="tokens", limit=800000, remaining=799400, reset_seconds=0.045),)
    ),
    rt.ResponseCreatedEvent(event_id="s1", response=rt.Response(id="resp_1", status="in_progress")),
    rt.ResponseDoneEvent(event_id="s1", response=RESPONSE),
    rt.ResponseOutputItemAddedEvent(event_id="s1", response_id="resp_1", output_index=0, item=ITEMS[4]),
    rt.ResponseOutputItemDoneEvent(event_id="s1", response_id="resp_1", output_index=0, item=ITEMS[5]),
    rt.ResponseContentPartAddedEvent(
        event_id="s1", **IN_RESPONSE, output_index=0, content_index=0, part=rt.Part(type="audio", transcript="")
    ),
    rt.ResponseContentPartDoneEvent(
        event_id="s1", **IN_RESPONSE, part=rt.Part(type="text", text="Hi", audio="AAAA", transcript="Hi")
    ),
    rt.ResponseOutputAudioDeltaEvent(event_id="s1", **IN_RESPONSE, delta=bytes(range(256))),
    rt.ResponseOutputAudioDoneEvent(event_id="s1", **IN_RESPONSE),
    rt.ResponseOutputAudioTranscriptDeltaEvent(event_id="s1", **IN_RESPONSE, delta="Hi"),
    rt.ResponseOutputAudioTranscriptDoneEvent(event_id="s1", **IN_RESPONSE, transcript="Hi"),
    rt.ResponseOutputTextDeltaEvent(event_id="s1", **IN_RESPONSE, delta="Hi"),
    rt.ResponseOutputTextDoneEvent(event_id="s1", **IN_RESPONSE, text="Hi"),
    rt.ResponseFunctionCallArgumentsDeltaEvent(event_id="s1", **IN_RESPONSE, call_id="call_1", delta="{"),
    rt.ResponseFunctionCallArgumentsDoneEvent(
        event_id="s1", **IN_RESPONSE, output_index=0, call_id="call_1", name="look", arguments="{}"
    ),
    rt.McpListToolsInProgressEvent(event_id="s1", item_id="item_L"),
    rt.McpListToolsCompletedEvent(event_id="s1", item_id="item_L"),
    rt.McpListToolsFailedEvent(event_id="s1", item_id="item_L"),
    rt.ResponseMcpCallArgumentsDeltaEvent(event_id="s1", **IN_RESPONSE, delta="{", obfuscation="x"),
    rt.ResponseMcpCallArgumentsDoneEvent(event_id="s1", **IN_RESPONSE, arguments="{}"),
    rt.ResponseMcpCallInProgressEvent(event_id="s1", item_id="item_M", output_index=0),
    rt.ResponseMcpCallCompletedEvent(event_id="s1", item_id="item_M", output_index=0),
    rt.ResponseMcpCallFailedEvent(event_id="s1", item_id="item_M", output_index=0),
)
