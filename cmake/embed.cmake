# embed(target symbol file): puts the bytes of `file` into `target` as
# `extern const char symbol[]` and `extern const char symbol_end[]`; a NUL follows the bytes.
function(embed target symbol file)
	get_filename_component(path ${file} ABSOLUTE)
	set(source ${CMAKE_CURRENT_BINARY_DIR}/embed_${symbol}.S)
	file(WRITE ${source}.in
		".section .rodata\n.global ${symbol}\n.global ${symbol}_end\n"
		"${symbol}:\n.incbin \"${path}\"\n${symbol}_end:\n.byte 0\n"
		".section .note.GNU-stack,\"\",@progbits\n")
	configure_file(${source}.in ${source} COPYONLY)
	set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${path})
	target_sources(${target} PRIVATE ${source})
endfunction()
