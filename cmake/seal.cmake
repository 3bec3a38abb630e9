# seal(target prefix [more...] [HIDE pattern]): the library `target_sealed`, which is `target` (and the
# libraries `more`) as one object in which only the names `prefix_*` are visible from outside, but for those
# of HIDE.
#
# Services share one executable but not their names: each has its own store_create, and none can
# call into another but by its service.h.
function(seal target prefix)
	cmake_parse_arguments(ARG "" "HIDE" "" ${ARGN})
	if(ARG_HIDE)
		set(hide "--keep-global-symbol=!${ARG_HIDE}")
	endif()
	set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}_sealed.o)
	set(archives $<TARGET_FILE:${target}>)
	get_target_property(libraries ${target} LINK_LIBRARIES)
	foreach(more ${ARG_UNPARSED_ARGUMENTS})
		list(APPEND archives $<TARGET_FILE:${more}>)
		get_target_property(more_libraries ${more} LINK_LIBRARIES)
		list(APPEND libraries ${more_libraries})
	endforeach()
	list(REMOVE_ITEM libraries ${ARG_UNPARSED_ARGUMENTS} "")
	list(REMOVE_DUPLICATES libraries)
	add_custom_command(
		OUTPUT ${object}
		COMMAND ${CMAKE_LINKER} -r --whole-archive ${archives} -o ${object}
		COMMAND ${CMAKE_OBJCOPY} --wildcard ${hide} --keep-global-symbol=${prefix}_* ${object}
		DEPENDS ${target} ${ARG_UNPARSED_ARGUMENTS}
		VERBATIM)
	set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
	add_library(${target}_sealed STATIC ${object})
	set_target_properties(${target}_sealed PROPERTIES LINKER_LANGUAGE C)
	target_link_libraries(${target}_sealed PUBLIC ${libraries})
endfunction()
